using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Tests that measure this process run with nothing beside them.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

[Collection(nameof(Alone))]
public sealed class AllocationTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory]
    [InlineData(TransferMode.Plain, null)]
    [InlineData(TransferMode.Sealed, null)]
    [InlineData(TransferMode.Plain, 512L << 20)]
    public async Task A_further_page_allocates_nothing_on_either_side(TransferMode mode, long? limit)
    {
        using var share = new BandwidthBudget(TimeProvider.System).Open(limit);
        await using var session = await LoopbackSession.StartAsync(128, mode: mode, bandwidth: share);
        session.Source.FillRandom(1);
        var pages = new PageBitmap(session.Source.Layout.PageCount);
        Task SendAsync(long count)
        {
            pages.SetRange(0, count);
            return session.Sender.SendPagesAsync(pages, findHoles: true, None);
        }

        double perFrame = await AllocatedByMoreAsync(
            (pages.PageCount - 4096) / DataPlaneWire.MaxPagesPerFrame,
            () => SendAsync(4096), () => SendAsync(pages.PageCount));

        Assert.True(perFrame < 8, $"{perFrame} bytes for each frame of 64 pages");
    }

    [Theory]
    [InlineData(TransferMode.Plain)]
    [InlineData(TransferMode.Sealed)]
    public async Task A_further_device_chunk_allocates_nothing_on_either_side(TransferMode mode)
    {
        await using var session = await LoopbackSession.StartAsync(1, devices: 3, sink: new DiscardingSink(), mode: mode);
        var offsets = new ulong[3];
        byte[] chunk = new byte[DataPlaneWire.MaxDeviceChunkBytes];
        Task SendAsync(int chunks) => Task.WhenAll(Enumerable.Range(0, 3).Select(device => Task.Run(async () =>
        {
            for (int i = 0; i < chunks; i++, offsets[device] += (ulong)chunk.Length)
                await session.Sender.SendDeviceAsync(device, offsets[device], chunk, None);
            await session.Sender.FinishDeviceAsync(device, offsets[device]);
        })));

        double perChunk = await AllocatedByMoreAsync(3 * 448, () => SendAsync(64), () => SendAsync(512));

        Assert.True(perChunk < 8, $"{perChunk} bytes for each chunk");
    }

    /// <summary>The least of several tries: the runtime's own threads allocate too.</summary>
    private static async Task<double> AllocatedByMoreAsync(long more, Func<Task> few, Func<Task> many)
    {
        long ofFew = long.MaxValue, ofMany = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            ofFew = Math.Min(ofFew, await AllocatedAsync(few));
            ofMany = Math.Min(ofMany, await AllocatedAsync(many));
        }
        return (ofMany - ofFew) / (double)more;
    }

    private static async Task<long> AllocatedAsync(Func<Task> work)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await work().WaitAsync(LoopbackSession.Hang);
        return GC.GetTotalAllocatedBytes(precise: true) - before;
    }

    private sealed class DiscardingSink : IDeviceStateSink
    {
        public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

        public async ValueTask WriteAsync(
            int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) => await Task.CompletedTask;

        public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => ValueTask.CompletedTask;

        public ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken) =>
            ValueTask.CompletedTask;
    }
}
