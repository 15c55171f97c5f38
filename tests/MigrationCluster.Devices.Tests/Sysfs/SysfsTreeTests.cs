using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

public sealed class SysfsTreeTests : IDisposable
{
    private const string Second = "0000:3a:00.0";
    private const int EIO = 5;
    private FuseMount? _mount;

    public void Dispose() => _mount?.Dispose();

    [FuseFact]
    public void A_function_is_read_with_its_shape_and_driver()
    {
        var inventory = Read(new FuseTree().AddFunction(SampleHost.Gpu));
        Assert.Empty(inventory.Findings);
        var function = Assert.Single(inventory.Functions);
        Assert.Equal((SampleHost.Gpu, 0x8086, 0x193b), (function.Address, function.Vendor, function.Device));
        Assert.Equal((0x1028, 0x06e4), (function.SubsystemVendor!.Value, function.SubsystemDevice!.Value));
        Assert.Equal((0x030000u, (byte)9), (function.Class!.Value, function.Revision!.Value));
        Assert.Equal(("i915", "1.6.0"), (function.Driver, function.DriverVersion));
        Assert.Equal((7, null), (function.IommuGroup, function.NumaNode));
        Assert.Equal([5, 1], function.Config!.Standard.Select(capability => capability.Id));
        Assert.Equal([0xf, 0x1b], function.Config.Extended.Select(capability => capability.Id));
        Assert.Equal(
            [
                new PciBar(0, 16 << 20, PciBarKind.Memory, false), new PciBar(2, 256 << 20, PciBarKind.Memory, true),
                new PciBar(4, 64, PciBarKind.Io, false), new PciBar(6, 128 << 10, PciBarKind.Memory, false),
            ],
            function.Bars);
    }

    [FuseFact(DisplayName = "000: a host with two parents: each type and device answers at its own attribute")]
    public void Two_parents_answer_for_themselves()
    {
        var inventory = Read(new FuseTree()
            .AddFunction(SampleHost.Gpu).AddFunction(Second)
            .AddType(SampleHost.Gpu, "i915-GVTg_V5_4", new SampleVersionDriver("00028086-193b-i915-GVTg_V5_4"))
            .AddType(Second, "i915-GVTg_V5_4", new SampleVersionDriver("00028086-193b-i915-GVTg_V5_4-b"))
            .AddType(Second, "i915-GVTg_V5_8")
            .AddMdev(Second, SampleHost.Uuid, "i915-GVTg_V5_4"));
        Assert.Empty(inventory.Findings);
        Assert.Equal(
            [(SampleHost.Gpu, "i915-GVTg_V5_4"), (Second, "i915-GVTg_V5_4"), (Second, "i915-GVTg_V5_8")],
            inventory.Types.Select(type => (type.Parent, type.Name)));
        Assert.All(inventory.Types, type => Assert.Equal(("vfio-pci", 3), (type.DeviceApi, type.AvailableInstances)));
        Assert.Equal("low_gm_size: 64MB\nfence: 4", inventory.Types[0].Description);

        // Listed twice, under its parent and on the bus, and one device all the same.
        var device = Assert.Single(inventory.Devices);
        Assert.Equal((Second, "i915-GVTg_V5_4", "vfio-pci", 12),
            (device.Parent, device.Type, device.DeviceApi, device.IommuGroup));

        string source = ((VersionReading.Known)inventory.Types[0].Version).Text;
        Assert.Equal(
            [typeof(VersionCheck.Compatible), typeof(VersionCheck.Refused), typeof(VersionCheck.NotMigratable)],
            inventory.Types.Select(type => VersionAttribute.Of(type).Check(source).GetType()));
    }

    [FuseFact]
    public void A_parent_that_is_no_PCI_function_is_found_by_its_class()
    {
        const string Home = "devices/virtual/mtty/mtty";
        var inventory = Read(new FuseTree()
            .Link("class/mdev_bus/mtty", "../../devices/virtual/mtty/mtty")
            .Text($"{Home}/mdev_supported_types/mtty-2/device_api", "vfio-pci\n")
            .Text($"{Home}/mdev_supported_types/mtty-2/available_instances", "12\n")
            .Link($"{Home}/{SampleHost.Uuid}/mdev_type", "../mdev_supported_types/mtty-2")
            .Link($"bus/mdev/devices/{SampleHost.Uuid}", $"../../../{Home}/{SampleHost.Uuid}"));
        Assert.Empty(inventory.Findings);
        Assert.Equal(("mtty", "mtty-2", 12), Assert.Single(inventory.Types) is var type
            ? (type.Parent, type.Name, type.AvailableInstances) : default);
        Assert.Equal(("mtty", "mtty-2"), Assert.Single(inventory.Devices) is var device
            ? (device.Parent, device.Type) : default);
    }

    [FuseFact]
    public void A_device_that_only_the_bus_lists_is_found()
    {
        const string Home = "devices/virtual/hidden/parent";
        var inventory = Read(new FuseTree()
            .Text($"{Home}/mdev_supported_types/t/device_api", "vfio-pci\n")
            .Link($"{Home}/{SampleHost.Uuid}/mdev_type", "../mdev_supported_types/t")
            .Link($"bus/mdev/devices/{SampleHost.Uuid}", $"../../../{Home}/{SampleHost.Uuid}"));
        Assert.Empty(inventory.Findings);
        Assert.Equal(("parent", "t"), Assert.Single(inventory.Devices) is var device ? (device.Parent, device.Type) : default);
    }

    [FuseFact]
    public void Every_attribute_made_strange_in_turn_is_a_finding_and_the_rest_is_read()
    {
        string gpu = $"devices/pci0000:00/{SampleHost.Gpu}", type = $"{gpu}/mdev_supported_types/i915-GVTg_V5_4";
        foreach (string path in new[]
        {
            $"{gpu}/vendor", $"{gpu}/device", $"{gpu}/subsystem_vendor", $"{gpu}/subsystem_device", $"{gpu}/class",
            $"{gpu}/revision", $"{gpu}/numa_node", $"{gpu}/config", $"{gpu}/resource", $"{gpu}/iommu_group",
            $"{gpu}/driver", $"{gpu}/{SampleHost.Uuid}/mdev_type", $"{type}/device_api", $"{type}/available_instances",
            "bus/pci/devices/nonsense", "bus/mdev/devices/nonsense", "class/mdev_bus/nonsense",
        })
        {
            Expect(path, (tree, at) => tree.Attribute(at, () => FuseAnswer.Fail(EIO)));
            Expect(path, (tree, at) => tree.Bytes(at, [0xff, 0xfe, 0x00]));
            Expect(path, (tree, at) => tree.Link(at, "/"));
            Expect(path, (tree, at) => tree.Link(at, at[(at.LastIndexOf('/') + 1)..]));
        }

        void Expect(string path, Func<FuseTree, string, FuseTree> makeStrange)
        {
            var inventory = Read(makeStrange(new FuseTree()
                .AddFunction(SampleHost.Gpu).AddFunction(Second)
                .AddType(SampleHost.Gpu, "i915-GVTg_V5_4", new SampleVersionDriver("v"))
                .AddType(Second, "i915-GVTg_V5_8")
                .AddMdev(SampleHost.Gpu, SampleHost.Uuid, "i915-GVTg_V5_4"), path));
            string name = path[path.LastIndexOf('/')..];
            Assert.Contains(inventory.Findings, finding => finding.Path.Contains(name, StringComparison.Ordinal));
            Assert.Contains(inventory.Functions, function => function.Address == Second);
            Assert.Contains(inventory.Types, read => read.Name == "i915-GVTg_V5_8");
        }
    }

    [Fact]
    public void A_root_that_is_not_there_is_a_finding() =>
        Assert.Equal("/nowhere/sys", Assert.Single(new SysfsTree("/nowhere/sys").Read().Findings).Path);

    [FuseFact]
    public void A_host_without_PCI_and_mediated_devices_is_no_strange_host()
    {
        var inventory = Read(new FuseTree().Folder("class"));
        Assert.Empty(inventory.Findings);
        Assert.Empty(inventory.Functions);
    }

    private SysfsInventory Read(FuseTree tree)
    {
        _mount?.Dispose();
        _mount = new FuseMount(tree);
        return new SysfsTree(_mount.Root).Read();
    }
}
