using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Sysfs;

public sealed class SysfsDescriptorsTests
{
    private static readonly PciFunction Function = new(
        "0000:3a:00.0", 0x15b3, 0x101e, 0x15b3, 0x0059, 0x020000, 0, "mlx5_core", null,
        new PciConfigSpace(4096, [new(0x10, 0x60), new(0x11, 0x9c)], [new(0x0e, 0x100)], false, 0, 12),
        [
            new PciBar(0, 2 << 20, PciBarKind.Memory, true), new PciBar(2, 64, PciBarKind.Io, false),
            new PciBar(6, 1 << 20, PciBarKind.Memory, false),
        ],
        5, 0);

    [Fact]
    public void A_function_is_a_device_with_identity_and_shape()
    {
        var found = Assert.Single(SysfsDescriptors.Of(new SysfsInventory([Function], [], [], [])));
        var descriptor = found.Descriptor;
        Assert.Equal(("15b3:101e", "0000:3a:00.0", DescriptorKind.Device), (found.Class, found.Name, descriptor.Kind));
        Assert.Equal(new DeviceIdentity(0x15b3, 0x101e, 0x15b3, 0x0059), descriptor.Identity);
        Assert.Equal(
            [
                new RegionDescriptor(0, 2 << 20, true, true, true), new RegionDescriptor(2, 64, true, true, false),
                new RegionDescriptor(6, 1 << 20, true, false, false), new RegionDescriptor(7, 4096, true, true, false),
            ],
            descriptor.Regions);
        Assert.Equal(
            [new InterruptDescriptor(2, 12), new InterruptDescriptor(3, 1), new InterruptDescriptor(4, 1)],
            descriptor.Interrupts);
        Assert.Equal([0x10, 0x11, 0x1000e], descriptor.ConfigCapabilities);
        Assert.Equal(new DriverDescriptor("mlx5_core", null), descriptor.Driver);
        Assert.Null(descriptor.Capabilities);
        Assert.Null(found.Attribute);
    }

    [Fact]
    public void What_the_tree_does_not_say_is_not_guessed()
    {
        var header = new PciConfigSpace(64, [], [], true, 0, 0);
        foreach (var partly in new[]
            { Function with { Config = null }, Function with { Config = header }, Function with { Bars = null } })
        {
            var descriptor = Assert.Single(SysfsDescriptors.Of(new SysfsInventory(
                [partly with { SubsystemDevice = null, Driver = null }], [], [], []))).Descriptor;
            Assert.Null(descriptor.Identity);
            Assert.Null(descriptor.Driver);
            Assert.Empty(descriptor.Regions);
            Assert.Empty(descriptor.Interrupts);
            Assert.Empty(descriptor.ConfigCapabilities);
        }
    }

    [FuseFact(DisplayName = "000: a type is a template and a device is a device, each with its version and where to ask")]
    public void Mediated_types_are_templates_and_mediated_devices_are_devices()
    {
        const string Type = "i915-GVTg_V5_4", Version = "00028086-193b-i915-GVTg_V5_4";
        using var mount = new FuseMount(new FuseTree()
            .AddFunction(SampleHost.Gpu)
            .AddType(SampleHost.Gpu, Type, new SampleVersionDriver(Version))
            .AddType(SampleHost.Gpu, "old")
            .AddMdev(SampleHost.Gpu, SampleHost.Uuid, Type));
        var found = SysfsDescriptors.Of(new SysfsTree(mount.Root).Read());
        Assert.Equal(
            [
                ("8086:193b", SampleHost.Gpu, DescriptorKind.Device, null, VersionAnswer.NotAsked),
                (Type, SampleHost.Uuid, DescriptorKind.Device, Version, VersionAnswer.Accepted),
                (Type, $"{SampleHost.Gpu}/{Type}", DescriptorKind.Template, Version, VersionAnswer.Accepted),
                ("old", $"{SampleHost.Gpu}/old", DescriptorKind.Template, null, VersionAnswer.NotMigratable),
            ],
            found.Select(one => (
                one.Class, one.Name, one.Descriptor.Kind, one.Descriptor.VersionString,
                one.Attribute?.Check(Version).Answer ?? VersionAnswer.NotAsked)));
        Assert.All(found, one => Assert.Equal(new DriverDescriptor("i915", "1.6.0"), one.Descriptor.Driver));
        Assert.Equal([null, null, null, MigrationCapabilities.None], found.Select(one => one.Descriptor.Capabilities));
        Assert.Equal(VersionAnswer.Refused, found[1].Attribute!.Check(Version + "x").Answer);
    }
}
