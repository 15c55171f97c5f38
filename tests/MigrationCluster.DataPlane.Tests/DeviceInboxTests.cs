using System.Buffers.Binary;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Receiving;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Chunks that wait for a device.</summary>
public sealed class DeviceInboxTests
{
    private const int Full = DataPlaneWire.MaxDeviceChunkBytes;

    [Fact]
    public async Task Full_chunks_that_wait_are_given_together_up_to_two_MiB_and_acknowledged_one_by_one()
    {
        var given = await GiveAsync([.. Enumerable.Repeat(Full, 10), 1000, 5]);
        Assert.Equal([8 * Full, 2 * Full + 1000, 5], given);
    }

    [Fact]
    public async Task A_chunk_that_is_wrong_is_never_given_with_the_right_ones_before_it()
    {
        var given = await GiveAsync([Full, Full, Full], wrong: 2);
        Assert.Equal([2 * Full], given);
    }

    /// <summary>Posts chunks while the device's loop does not run yet.</summary>
    /// <returns>how many bytes the device was given at a time.</returns>
    private static async Task<List<int>> GiveAsync(int[] lengths, int? wrong = null)
    {
        using var funnel = new BreakFunnel();
        using var ram = new TestRam(1);
        var sink = new RecordingSink();
        var inbox = new DeviceInbox(new DeviceStream(0, 0, 0), sink, funnel, new TransferMeter(ram.Mapped.Ledger));
        var random = new Random(1);
        ulong offset = 0;
        var sent = new MemoryStream();
        for (int i = 0; i < lengths.Length; i++)
        {
            var payload = new byte[sizeof(uint) + lengths[i]];
            random.NextBytes(payload.AsSpan(sizeof(uint)));
            BinaryPrimitives.WriteUInt32LittleEndian(payload, Crc32C.Compute(payload.AsSpan(sizeof(uint))) ^ (i == wrong ? 1u : 0));
            Assert.True(inbox.TryPost(new FrameHeader(FrameKind.DeviceChunk, 0, (ulong)i + 1, offset, (ulong)lengths[i]), payload));
            offset += (ulong)lengths[i];
            if (wrong is null || i < wrong) sent.Write(payload.AsSpan(sizeof(uint)));
        }
        int expected = wrong ?? lengths.Length;
        var acknowledged = new List<(ulong, long)>();
        var all = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        var running = inbox.RunAsync((sequence, bytes) =>
        {
            acknowledged.Add((sequence, bytes));
            if (acknowledged.Count == expected) all.SetResult();
        }, () => { });
        await all.Task.WaitAsync(LoopbackSession.Hang);
        if (wrong is null) funnel.Break(TransferFailureReason.Cancelled, "the test is over");
        await running.WaitAsync(LoopbackSession.Hang);

        if (wrong is not null) Assert.Equal(TransferFailureReason.DeviceChunkCorrupt, funnel.Failure!.Reason);
        Assert.Equal(lengths[..expected].Select((length, i) => ((ulong)i + 1, (long)length)), acknowledged);
        Assert.Equal(sent.ToArray(), sink.Stream.ToArray());
        return sink.Given;
    }

    private sealed class RecordingSink : IDeviceStateSink
    {
        internal List<int> Given { get; } = [];

        internal MemoryStream Stream { get; } = new();

        public ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken) => new(new DeviceStream(device, 0, 0));

        public ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
        {
            Assert.Equal(Stream.Length, (long)offset);
            Given.Add(data.Length);
            Stream.Write(data.Span);
            return default;
        }

        public ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken) => default;

        public ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken) => default;
    }
}
