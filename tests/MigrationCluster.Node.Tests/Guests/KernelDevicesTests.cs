using Microsoft.Extensions.Logging.Abstractions;
using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Tests.Guests;

/// <summary>Mediated devices of launches, on a sysfs that a test mounts; the guest process is real, the device is not in this machine's kernel.</summary>
public sealed class KernelDevicesTests
{
    private static readonly Fence Fence = new(new Epoch(1), new Term(1));

    [FuseFact]
    public async Task A_launch_that_fails_leaves_no_mediated_device()
    {
        var host = new SampleMttyHost(instances: 2);
        using var mount = new FuseMount(host.Tree);
        using var directory = new TempDirectory();
        using var data = DataDirectory.Open(directory.Path, new HostName("alpha"));
        using var guests = Guests(data, mount.Root);

        var answer = await guests.LaunchAsync(Spec("uart"), Fence, incoming: true, default);

        // It was created (the process looked for it in this machine's own sysfs), named, and removed again.
        Assert.Equal(GuestHost.LaunchCode, answer.Refusal!.Error.Code);
        Assert.Contains("kernel.not-opened", answer.Refusal.Error.Message, StringComparison.Ordinal);
        Assert.Equal(1, host.Created);
        Assert.Empty(host.Existing);
        Assert.Empty(guests.Admit(Spec("uart", "uart")));
    }

    [FuseFact]
    public async Task What_a_dead_daemon_created_for_a_launch_is_removed_by_the_next()
    {
        var host = new SampleMttyHost(instances: 2);
        using var mount = new FuseMount(host.Tree);
        using var directory = new TempDirectory();
        using var data = DataDirectory.Open(directory.Path, new HostName("alpha"));
        var uuid = Guid.NewGuid();
        var launch = new LaunchSpec(
            "vm1", true, 1, 1, 32, new LaunchVcpus(1, "uniform", 0, 1),
            [new LaunchDevice("uart0", null, new Dictionary<string, string>(), [], Vfio: new LaunchKernelDevice($"{uuid}", SampleMttyHost.Type))]);
        new GuestFolder(data.Guest(new GuestName("vm1")), mount.Root).Prepare(launch);
        Assert.Equal([uuid], host.Existing);

        using var guests = Guests(data, mount.Root);
        await guests.StartAsync(default);

        Assert.Empty(host.Existing);
    }

    [FuseFact]
    public void A_host_without_instances_or_with_a_device_asked_for_twice_says_so_before_anything_is_launched()
    {
        var host = new SampleMttyHost(instances: 1);
        using var mount = new FuseMount(host.Tree);
        using var directory = new TempDirectory();
        using var data = DataDirectory.Open(directory.Path, new HostName("alpha"));
        using var guests = Guests(data, mount.Root);
        Assert.Empty(guests.Admit(Spec("uart")));
        Assert.Equal([KernelDevices.TypeCode, KernelDevices.TypeCode], guests.Admit(Spec("uart", "uart")).Select(reason => reason.Code));
        Assert.Equal([KernelDevices.DeviceCode], guests.Admit(Spec("nic", "nic")).Select(reason => reason.Code));
        Assert.Equal([KernelDevices.TypeCode], guests.Admit(Spec("absent")).Select(reason => reason.Code));
        Assert.Empty(host.Existing);
    }

    [FuseFact]
    public void The_inventory_lists_types_devices_and_groups()
    {
        var host = new SampleMttyHost(instances: 2);
        using var mount = new FuseMount(host.Tree);
        var uuid = Guid.NewGuid();
        new MediatedDevices(mount.Root).Create(SampleMttyHost.Type, null, uuid);
        var view = InventoryCommand.Of(new SysfsTree(mount.Root).Read());
        Assert.Equal([new InventoryType("mtty", SampleMttyHost.Type, "Dual port serial", "vfio-pci", 1)], view.MediatedTypes);
        Assert.Equal([new InventoryDevice(uuid, SampleMttyHost.Type, "mtty", 3)], view.MediatedDevices);
        var group = Assert.Single(view.IommuGroups);
        Assert.Equal(3, group.Number);
        Assert.Equal([$"{uuid}"], group.Members);
    }

    private static GuestHost Guests(DataDirectory data, string sysfs) => new(
        new NodeIdentity(new HostName("alpha"), "id"),
        new NodeConfig(1024, new Dictionary<string, DeviceTemplate>
        {
            ["uart"] = new(Vfio: new KernelTemplate(SampleMttyHost.Type)),
            ["absent"] = new(Vfio: new KernelTemplate("mtty-9")),
            ["nic"] = new(Vfio: new KernelTemplate(Device: "0000:03:00.2")),
        }, sysfs),
        data, TimeProvider.System, NullLogger<GuestHost>.Instance);

    private static string Spec(params string[] templates) => $$"""
        { "name": "vm1", "memoryMiB": 32, "vcpus": { "count": 1, "pattern": "uniform", "dirtyRateMiBps": 0 },
          "devices": [{{string.Join(", ", templates.Select((template, i) => $$"""{ "name": "d{{i}}", "template": "{{template}}" }"""))}}] }
        """;
}
