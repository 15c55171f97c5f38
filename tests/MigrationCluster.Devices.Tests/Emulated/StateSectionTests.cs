using MigrationCluster.Devices.Emulated;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

/// <summary>Required, optional and rare sections between a device and one whose driver is older (004_1f973f60d845ba13.txt).</summary>
public class StateSectionTests
{
    // 004: "optional data that the destination can drop; but that the destination doesn't know what it means and at the time the
    // destination was written, wasn't yet defined".
    [Fact]
    public async Task An_older_driver_drops_optional_sections_and_says_which()
    {
        await using var source = Create("net");
        await using var destination = Old("net");
        var log = new List<string>();
        destination.Log = log.Add;
        await destination.Load(await source.Save());
        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));
        Assert.Equal("net dropped optional state sections that driver 1 does not know: 3", Assert.Single(log));
    }

    [Fact]
    public async Task A_driver_that_knows_all_sections_drops_none()
    {
        await using var source = Create("net");
        await using var destination = Create("net");
        var log = new List<string>();
        destination.Log = log.Add;
        await destination.Load(await source.Save());
        Assert.Empty(log);
    }

    // 004: a version=1 network card is migrated to a new device implementation that is also capable of version=2.
    [Fact]
    public async Task An_older_driver_s_state_is_loaded_by_a_newer_one()
    {
        await using var source = Old("net");
        await source.Write(DeviceRegisters.Scratch, 7);
        await using var destination = Create("net");
        await destination.Load(await source.Save());
        Assert.Equal(7UL, await destination.Read(DeviceRegisters.Scratch));
        Assert.Equal(0UL, await destination.Read(NetRegisters.Filters));
    }

    [Fact]
    public async Task A_receive_filter_is_refused_by_a_device_without_one()
    {
        await using var source = Create("net", ("rx-filter-size", "32"));
        await using var destination = Create("net");
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await destination.Load(await source.Save()));
        Assert.Contains("section 4 version 1 is required and unknown", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_rare_section_is_written_only_when_its_case_has_come()
    {
        await using var source = Create("net");
        int before = (await source.Save()).Length;
        await FaultAsync(source);
        Assert.Equal(before + 16, (await source.Save()).Length);

        await using var destination = Create("net");
        await destination.Load(await source.Save());
        Assert.Equal(0x5000UL, await destination.Read(NetRegisters.FaultAddress));
        await using var old = Old("net");
        await old.Load(await source.Save());
        Assert.Equal(0UL, await old.Read(NetRegisters.FaultAddress));
    }

    // 004: "some device authors prefer to fix it and send the extra data and let the migration fail if the destination doesn't
    // understand it (it would break anyway)".
    [Fact]
    public async Task A_rare_required_section_fails_the_load_only_when_its_case_has_come()
    {
        await using var source = Create("serial", ("fifo", "1"));
        await source.Write(SerialRegisters.Transmit, 'a');
        await using (var old = DeviceModels.Create("serial", new Dictionary<string, string> { ["fifo"] = "1" }, driver: 1))
            await old.Load(await source.Save());

        await source.SetStateAsync(Protocol.Vfio.DeviceState.Running, default);
        await source.Write(SerialRegisters.Transmit, 'b');
        await using (var old = DeviceModels.Create("serial", new Dictionary<string, string> { ["fifo"] = "1" }, driver: 1))
            await Assert.ThrowsAsync<DeviceRefusedException>(async () => await old.Load(await source.Save()));
        await using var destination = Create("serial", ("fifo", "1"));
        await destination.Load(await source.Save());
        Assert.Equal(1UL, await destination.Read(SerialRegisters.Overrun));
    }

    /// <summary>DMA to where no memory is mapped.</summary>
    private static async Task FaultAsync(EmulatedDevice net)
    {
        await net.SetStateAsync(Protocol.Vfio.DeviceState.Running, default);
        await net.Write(NetRegisters.DmaBase, 0x5000);
        await net.Write(NetRegisters.DmaSizeBytes, 4096);
        await net.Write(DeviceRegisters.Control, NetRegisters.ControlDma);
        await net.MakeBusMaster();
        await Until(async () => await net.Read(NetRegisters.FaultAddress) == 0x5000);
    }

    private static EmulatedDevice Old(string model) => DeviceModels.Create(model, new Dictionary<string, string>(), driver: 1);
}
