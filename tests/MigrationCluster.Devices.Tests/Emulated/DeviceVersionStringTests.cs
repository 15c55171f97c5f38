using MigrationCluster.Devices.Emulated;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

/// <summary>The opaque string of 000_4118618801e454c1.txt as our devices use it: read at the source, put to the destination's device.</summary>
public class DeviceVersionStringTests
{
    // 000: "lower 16 bits is vendor id and higher 16 bits identifies device type. e.g., for pci device, it is
    // "pci vendor id" | (VFIO_DEVICE_FLAGS_PCI << 16)".
    [Theory]
    [InlineData("net")]
    [InlineData("gpu")]
    [InlineData("serial")]
    [InlineData("legacy")]
    public async Task It_starts_with_device_type_and_vendor(string model)
    {
        await using var device = Create(model);
        Assert.StartsWith("00021d55-", (await device.DescribeAsync(default)).VersionString!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_accepts_its_own_string()
    {
        await using var device = Create("net", ("rx-filter-size", "32"), ("queues", "2"));
        await device.CheckVersionAsync((await device.DescribeAsync(default)).VersionString!, default);
    }

    [Fact]
    public async Task A_destination_accepts_less_traffic_from_the_source_than_it_can_do_and_not_more()
    {
        await using var slow = Create("net", ("dma-rate", "10"));
        await using var fast = Create("net", ("dma-rate", "30"));
        await fast.CheckVersionAsync(await VersionOf(slow), default);
        await Refused("dma-rate is 30 there and 10 here", slow, await VersionOf(fast));
    }

    [Fact]
    public async Task What_the_guest_sees_has_to_be_equal()
    {
        await using var source = Create("net", ("link-speed", "25000"));
        await using var destination = Create("net", ("link-speed", "10000"));
        await Refused("link-speed is 25000 there and 10000 here", destination, await VersionOf(source));
    }

    [Fact]
    public async Task An_older_driver_accepts_version_1_of_a_newer_one_and_not_version_2()
    {
        await using var old = DeviceModels.Create("net", new Dictionary<string, string>(), driver: 1);
        await using var version1 = Create("net");
        await using var version2 = Create("net", ("rx-filter-size", "32"));
        await old.CheckVersionAsync(await VersionOf(version1), default);
        await version1.CheckVersionAsync(await VersionOf(old), default);
        await Refused("rx-filter-size is unknown here", old, await VersionOf(version2));
    }

    [Theory]
    [InlineData("")]
    [InlineData(":::::")]
    [InlineData("00028086-193b-i915-GVTg_V5_4")]
    [InlineData("00021d55-gpu/1::shape,memory,registers")]
    [InlineData("00021d55-net/1:queues=4=5:setup")]
    [InlineData("00021d55-net/1:queues=99999999999999999999999:setup")]
    [InlineData("00021d55-net/1:queues=4,queues=4:setup")]
    [InlineData("00021d55-net/1::setup,registers,telemetry")]
    public async Task Anything_else_is_refused(string version)
    {
        await using var net = Create("net");
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await net.CheckVersionAsync(version, default));
        Assert.Equal(22, refused.Errno);
    }

    private static async Task<string> VersionOf(EmulatedDevice device) => (await device.DescribeAsync(default)).VersionString!;

    private static async Task Refused(string expected, EmulatedDevice destination, string version)
    {
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await destination.CheckVersionAsync(version, default));
        Assert.Equal(22, refused.Errno);
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }
}
