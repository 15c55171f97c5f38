using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Devices.Tests.Sysfs.Fuse;

namespace MigrationCluster.Devices.Tests.Sysfs;

public sealed class MediatedDevicesTests
{
    [FuseFact]
    public void A_device_is_created_from_a_type_that_has_an_instance_left_and_removed_again()
    {
        var host = new SampleMttyHost(instances: 1);
        using var mount = new FuseMount(host.Tree);
        var devices = new MediatedDevices(mount.Root);
        var uuid = Guid.NewGuid();
        Assert.Equal(1, devices.Available(SampleMttyHost.Type, null));
        devices.Create(SampleMttyHost.Type, null, uuid);
        Assert.True(devices.Exists(uuid));
        Assert.Equal([uuid], host.Existing);
        var refused = Assert.Throws<IOException>(() => devices.Create(SampleMttyHost.Type, null, Guid.NewGuid()));
        Assert.Contains("no instance of the mediated type mtty-2 is left on mtty", refused.Message, StringComparison.Ordinal);
        devices.Remove(uuid);
        devices.Remove(uuid);
        Assert.Empty(host.Existing);
        Assert.Equal(1, devices.Available(SampleMttyHost.Type, "mtty"));
    }

    [FuseFact]
    public void What_a_host_has_not_is_named()
    {
        using var mount = new FuseMount(new SampleMttyHost(instances: 1).Tree);
        var devices = new MediatedDevices(mount.Root);
        Assert.Null(devices.Available("mtty-9", null));
        Assert.Null(devices.Available(SampleMttyHost.Type, "other"));
        Assert.Contains("has the type mtty-9", Assert.Throws<IOException>(() => devices.Create("mtty-9", null, Guid.NewGuid())).Message, StringComparison.Ordinal);
    }

    [FuseFact]
    public void A_driver_that_refuses_to_create_is_told_with_its_errno()
    {
        var host = new SampleMttyHost(instances: 1) { Refuses = true };
        using var mount = new FuseMount(host.Tree);
        var refused = Assert.Throws<IOException>(() => new MediatedDevices(mount.Root).Create(SampleMttyHost.Type, null, Guid.NewGuid()));
        Assert.Contains("ENOSPC", refused.Message, StringComparison.Ordinal);
        Assert.Empty(host.Existing);
    }
}
