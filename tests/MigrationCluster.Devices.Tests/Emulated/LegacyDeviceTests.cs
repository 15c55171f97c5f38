using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

public class LegacyDeviceTests
{
    private const ulong BarWindow = 3UL << 30;

    [Theory]
    [InlineData(DeviceState.RunningP2P)]
    [InlineData(DeviceState.PreCopy)]
    [InlineData(DeviceState.PreCopyP2P)]
    public async Task It_has_no_quiet_state(DeviceState state)
    {
        await using var legacy = Create("legacy");
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await legacy.SetStateAsync(state, default));
        Assert.Equal(DeviceState.Running, await legacy.GetStateAsync(default));
    }

    [Fact]
    public async Task P2P_writes_are_held_while_the_peer_is_unmapped_and_none_is_lost()
    {
        await using var gpu = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await using var legacy = Create("legacy", ("dma-rate", "0"), ("p2p-rate", "5000"));
        var window = new DmaWindow(new Iova(BarWindow), GpuRegisters.DoorbellPageBytes, false, true, null, 0, new Doorbell(gpu));
        await legacy.MapDmaAsync(window, default);
        await legacy.Write(NetRegisters.PeerAddress, BarWindow);
        await legacy.Write(DeviceRegisters.Control, NetRegisters.ControlPeer);
        await legacy.MakeBusMaster();
        await Until(async () => await gpu.Read(GpuRegisters.Slots) > 10);

        await legacy.UnmapDmaAsync(window.Start, window.SizeBytes, default);
        ulong sent = await legacy.Read(NetRegisters.PeerSent);
        ulong held = await legacy.Read(NetRegisters.PeerRefused);
        await Until(async () => await legacy.Read(NetRegisters.PeerRefused) > held + 10);
        Assert.Equal(sent, await legacy.Read(NetRegisters.PeerSent));
        Assert.Equal(sent, await gpu.Read(GpuRegisters.Slots));

        await legacy.MapDmaAsync(window, default);
        await Until(async () => await legacy.Read(NetRegisters.PeerSent) > sent + 10);
        await legacy.Write(DeviceRegisters.Control, 0);
        Assert.Equal(await legacy.Read(NetRegisters.PeerSent), await gpu.Read(GpuRegisters.Slots + GpuRegisters.SlotLast));
        Assert.Equal((0UL, 0UL), (await legacy.Read(DeviceRegisters.Errors), await gpu.Read(DeviceRegisters.Errors)));
    }

    /// <summary>A planted order bug: the gpu is stopped before the device that writes into it is quiet.</summary>
    [Fact]
    public async Task A_peer_that_is_stopped_too_early_counts_what_still_arrives()
    {
        await using var gpu = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await using var legacy = Create("legacy", ("dma-rate", "0"), ("p2p-rate", "5000"));
        await legacy.MapDmaAsync(
            new DmaWindow(new Iova(BarWindow), GpuRegisters.DoorbellPageBytes, false, true, null, 0, new Doorbell(gpu)), default);
        await legacy.Write(NetRegisters.PeerAddress, BarWindow);
        await legacy.Write(DeviceRegisters.Control, NetRegisters.ControlPeer);
        await legacy.MakeBusMaster();
        await Until(async () => await gpu.Read(GpuRegisters.Slots) > 10);
        Assert.Equal(0UL, await gpu.Read(GpuRegisters.DoorbellsRefused));

        await gpu.SetStateAsync(DeviceState.StopCopy, default);
        ulong refused = await legacy.Read(NetRegisters.PeerRefused);
        await Until(async () => await legacy.Read(NetRegisters.PeerRefused) > refused + 3);
        await gpu.SetStateAsync(DeviceState.Stop, default);
        Assert.True(await gpu.Read(GpuRegisters.DoorbellsRefused) > 3);
    }

    /// <summary>A gpu's BAR as another device's DMA sees it, with nobody in between who keeps an order.</summary>
    private sealed class Doorbell(IMigratableDevice gpu) : IDmaTarget
    {
        public ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) =>
            gpu.WriteRegionAsync(DeviceRegisters.Bar, GpuRegisters.Doorbells + (address.Value - BarWindow), source, cancellationToken);
    }
}
