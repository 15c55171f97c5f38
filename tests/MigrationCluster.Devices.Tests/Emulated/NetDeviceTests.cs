using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

public class NetDeviceTests
{
    private const int Pages = 64;
    private const ulong Start = 0x10_0000;
    private const ulong BarWindow = 0xC000_0000;

    [Fact]
    public async Task A_fresh_device_writes_nothing_until_it_is_bus_master_and_enabled()
    {
        using var ram = new MemfdRam(Start, Pages);
        await using var net = Create("net", ("dma-rate", "64"));
        await net.MapDmaAsync(Window(ram), default);
        await Program(net);
        Assert.Equal(0UL, await net.Read(NetRegisters.DmaPages));

        await net.MakeBusMaster();
        await Until(async () => await net.Read(NetRegisters.DmaPages) > 2 * Pages);
        await net.Write(DeviceRegisters.Control, 0);
        await AssertRamMatches(net, ram);
    }

    [Fact]
    public async Task Stopping_leaves_every_page_written_and_marked()
    {
        using var ram = new MemfdRam(Start, Pages);
        await using var net = Create("net", ("dma-rate", "256"));
        await net.MapDmaAsync(Window(ram), default);
        await net.StartDirtyLogAsync(4096, default);
        await Program(net);
        await net.MakeBusMaster();

        var shadow = new uint[Pages];
        byte[] bitmap = new byte[8];
        for (int round = 0; round < 20; round++)
        {
            ulong before = await net.Read(NetRegisters.DmaPages);
            await Until(async () => await net.Read(NetRegisters.DmaPages) > before + 10);
            if (round == 19) await net.SetStateAsync(DeviceState.Stop, default);
            Array.Clear(bitmap);
            await net.ReportDirtyAsync(new Iova(Start), Pages * 4096, bitmap, default);
            for (int page = 0; page < Pages; page++)
                if ((bitmap[page / 8] >> (page % 8) & 1) != 0) shadow[page] = ram.Version(page) ?? uint.MaxValue;
        }
        // A copy kept up to date by the reports alone is complete once the device has stopped.
        for (int page = 0; page < Pages; page++) Assert.Equal(ram.Version(page), shadow[page]);
        ulong atStop = await net.Read(NetRegisters.DmaPages);
        await AssertRamMatches(net, ram);
        await net.SetStateAsync(DeviceState.StopCopy, default);
        await net.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(atStop, await net.Read(NetRegisters.DmaPages));
    }

    [Fact]
    public async Task Quiesced_for_P2P_it_still_writes_RAM_and_starts_no_peer_write()
    {
        using var ram = new MemfdRam(Start, Pages);
        var peer = new Peer();
        await using var net = Create("net", ("dma-rate", "64"), ("p2p-rate", "5000"));
        await net.MapDmaAsync(Window(ram), default);
        await net.MapDmaAsync(new DmaWindow(new Iova(BarWindow), 4096, false, true, null, 0, peer), default);
        await Program(net, NetRegisters.ControlDma | NetRegisters.ControlPeer);
        await net.MakeBusMaster();
        await Until(() => Task.FromResult(peer.Taken > 10));

        await net.SetStateAsync(DeviceState.RunningP2P, default);
        ulong taken = peer.Taken;
        ulong pages = await net.Read(NetRegisters.DmaPages);
        await Until(async () => await net.Read(NetRegisters.DmaPages) > pages + 200);
        Assert.Equal(taken, peer.Taken);
        Assert.Equal(taken, await net.Read(NetRegisters.PeerSent));
        Assert.Equal(peer.Sum, await net.Read(NetRegisters.PeerSum));

        await net.SetStateAsync(DeviceState.Running, default);
        await Until(() => Task.FromResult(peer.Taken > taken + 10));
    }

    [Fact]
    public async Task With_its_DMA_mapping_taken_away_a_running_device_reaches_its_peer_no_more()
    {
        using var ram = new MemfdRam(Start, Pages);
        var peer = new Peer();
        await using var net = Create("net", ("dma-rate", "64"), ("p2p-rate", "5000"));
        await net.MapDmaAsync(Window(ram), default);
        await net.MapDmaAsync(new DmaWindow(new Iova(BarWindow), 4096, false, true, null, 0, peer), default);
        await Program(net, NetRegisters.ControlDma | NetRegisters.ControlPeer);
        await net.MakeBusMaster();
        await Until(() => Task.FromResult(peer.Taken > 10));
        peer.Holding = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await Until(() => Task.FromResult(peer.Held));

        var unmapping = net.UnmapDmaAsync(new Iova(BarWindow), 4096, default).AsTask();
        Assert.False(unmapping.IsCompleted, "the mapping went while a write to the peer was under way");
        peer.Holding.SetResult();
        await unmapping;

        ulong taken = peer.Taken;
        ulong pages = await net.Read(NetRegisters.DmaPages);
        await Until(async () => await net.Read(NetRegisters.DmaPages) > pages + 200);
        Assert.Equal(taken, peer.Taken);
        Assert.Equal(DeviceState.Running, await net.GetStateAsync(default));
    }

    [Fact]
    public async Task A_refused_peer_write_is_counted_and_tried_again_without_a_gap()
    {
        var peer = new Peer { Refusing = 3 };
        await using var net = Create("net", ("p2p-rate", "5000"));
        await net.MapDmaAsync(new DmaWindow(new Iova(BarWindow), 4096, false, true, null, 0, peer), default);
        await Program(net, NetRegisters.ControlPeer);
        await net.MakeBusMaster();
        await Until(() => Task.FromResult(peer.Taken > 10));
        await net.Write(DeviceRegisters.Control, 0);
        Assert.Equal(3UL, await net.Read(NetRegisters.PeerRefused));
        Assert.Equal(peer.Taken, await net.Read(NetRegisters.PeerSent));
        Assert.Equal(0, peer.Gaps);
    }

    [Fact]
    public async Task A_move_keeps_every_register_and_the_DMA_goes_on_where_it_stood()
    {
        using var ram = new MemfdRam(Start, Pages);
        await using var source = Create("net", ("dma-rate", "64"), ("rx-filter-size", "32"));
        await using var destination = Create("net", ("dma-rate", "64"), ("rx-filter-size", "32"));
        await source.MapDmaAsync(Window(ram), default);
        await destination.MapDmaAsync(Window(ram), default);
        await Program(source);
        await source.Write(NetRegisters.FilterIndex, 5);
        await source.Write(NetRegisters.FilterValue, 0xABCDEF);
        await source.MakeBusMaster();
        await Until(async () => await source.Read(NetRegisters.DmaPages) > Pages);

        await source.SetStateAsync(DeviceState.PreCopy, default);
        byte[] early = await source.ReadAll();
        await source.Write(NetRegisters.FilterValue, 0xFEDCBA);
        await source.SetStateAsync(DeviceState.StopCopy, default);
        byte[] late = await source.ReadAll();
        await source.SetStateAsync(DeviceState.Stop, default);
        Assert.NotEmpty(early);
        await destination.Load([.. early, .. late], chunkBytes: 13);

        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));
        Assert.Equal(0xFEDCBAUL, await destination.Read(NetRegisters.FilterValue));
        ulong moved = await destination.Read(NetRegisters.DmaPages);
        Assert.Equal(await source.Read(NetRegisters.DmaPages), moved);

        await destination.MakeBusMaster();
        await destination.SetStateAsync(DeviceState.Running, default);
        await Until(async () => await destination.Read(NetRegisters.DmaPages) > moved + Pages);
        await destination.Write(DeviceRegisters.Control, 0);
        await AssertRamMatches(destination, ram);
        Assert.Equal(0UL, await destination.Read(DeviceRegisters.Errors));
    }

    [Fact]
    public async Task Without_a_receive_filter_its_registers_are_not_there()
    {
        await using var net = Create("net");
        await net.Write(NetRegisters.FilterIndex, 1);
        await net.Write(NetRegisters.FilterValue, 0xABC);
        Assert.Equal(0UL, await net.Read(NetRegisters.Filters));
        Assert.Equal(0UL, await net.Read(NetRegisters.FilterIndex));
        Assert.Equal(0UL, await net.Read(NetRegisters.FilterValue));
        Assert.Equal(0UL, await net.Read(DeviceRegisters.Errors));
    }

    [Theory]
    [InlineData("0", 0UL)]
    [InlineData("25000", 25000UL)]
    public async Task A_link_speed_shows_unless_it_is_off(string speed, ulong shown)
    {
        await using var net = Create("net", ("link-speed", speed));
        Assert.Equal(shown, await net.Read(NetRegisters.LinkSpeed));
    }

    [Theory]
    [InlineData("0")]
    [InlineData("32")]
    public async Task Pre_copy_counts_down_what_the_driver_set_up(string filterSize)
    {
        await using var net = Create("net", ("rx-filter-size", filterSize));
        await net.SetStateAsync(DeviceState.PreCopy, default);
        ulong initial = (await net.GetPreCopyBytesAsync(default))!.Value.InitialBytes;
        Assert.True(initial > 0);
        // A header of 16 bytes comes before the first section.
        Assert.Equal(initial + 16, (ulong)(await net.ReadAll()).Length);
        Assert.Equal(new PreCopyBytes(0, 0), await net.GetPreCopyBytesAsync(default));

        await net.Write(NetRegisters.PeerAddress, 0x1000);
        Assert.True((await net.GetPreCopyBytesAsync(default))!.Value is { InitialBytes: 0, DirtyBytes: > 0 });
    }

    private static async Task Program(IMigratableDevice net, ulong control = NetRegisters.ControlDma)
    {
        await net.Write(NetRegisters.DmaBase, Start);
        await net.Write(NetRegisters.DmaSizeBytes, Pages * 4096);
        await net.Write(NetRegisters.PeerAddress, BarWindow);
        await net.Write(DeviceRegisters.Control, control);
    }

    private static async Task AssertRamMatches(IMigratableDevice net, MemfdRam ram)
    {
        ulong written = await net.Read(NetRegisters.DmaPages);
        ulong sum = 0;
        for (int page = 0; page < Pages; page++)
        {
            uint expected = (uint)(written / Pages + ((ulong)page < written % Pages ? 1UL : 0));
            Assert.Equal(expected, ram.Version(page));
            sum += PageStamp.Mix(Start / 4096 + (ulong)page, expected);
        }
        Assert.Equal(sum, await net.Read(NetRegisters.DmaAccumulator));
        Assert.Equal(0UL, await net.Read(DeviceRegisters.Errors));
    }

    private sealed class Peer : IDmaTarget
    {
        private ulong _taken;

        public ulong Taken => Volatile.Read(ref _taken);
        public ulong Sum { get; private set; }
        public int Gaps { get; private set; }
        public int Refusing { get; set; }

        public ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken) =>
            throw new DeviceRefusedException("write-only", 22);

        public TaskCompletionSource? Holding { get; set; }
        public bool Held { get; private set; }

        public async ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
        {
            if (Holding is { } holding)
            {
                Held = true;
                await holding.Task.WaitAsync(cancellationToken);
            }

            if (Refusing-- > 0) throw new DeviceRefusedException("not now", 13);
            ulong number = BitConverter.ToUInt64(source.Span);
            if (number != _taken + 1) Gaps++;
            Sum += PageStamp.Mix(number, 1);
            Volatile.Write(ref _taken, number);
        }
    }
}
