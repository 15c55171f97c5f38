using MigrationCluster.DataPlane.Sending;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Tests;

public sealed class DeviceStreamTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Streams_of_many_devices_arrive_in_order_beside_the_pages()
    {
        const int devices = 16;
        await using var session = await LoopbackSession.StartAsync(16, devices: devices);
        session.Source.FillRandom(1);
        var streams = Enumerable.Range(0, devices).Select(device => RandomBytes(device, 1 + device * 123_457)).ToArray();

        await Task.WhenAll(
            session.SendAllAsync(),
            Task.WhenAll(streams.Select((stream, device) => SendAsync(session.Sender, device, stream)))
                .WaitAsync(LoopbackSession.Hang));

        for (int device = 0; device < devices; device++)
        {
            Assert.True(streams[device].AsSpan().SequenceEqual(session.Sink.StreamOf(device)));
            Assert.Equal(((ulong)streams[device].Length, Crc32C.Compute(streams[device])), session.Sink.Ended[device]);
            Assert.Equal((ulong)streams[device].Length, session.Sender.AckedDeviceBytes(device));
        }
        Assert.Equal(streams.Sum(stream => stream.Length), session.Sender.Counters.DeviceBytes);
        await session.FinishAsync();
    }

    [Fact]
    public async Task A_slow_device_is_bounded_by_its_window_and_holds_up_nobody_else()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var sink = new MemorySink(device => device == 0 ? open.Task : Task.CompletedTask);
        await using var session = await LoopbackSession.StartAsync(8, devices: 2, sink: sink);
        session.Source.FillRandom(1);
        byte[] chunk = RandomBytes(1, DataPlaneWire.MaxDeviceChunkBytes);
        ulong offset = 0;
        for (int i = 0; i < DeviceLane.MaxFrames; i++, offset += (ulong)chunk.Length)
            await session.Sender.SendDeviceAsync(0, offset, chunk, None).AsTask().WaitAsync(LoopbackSession.Hang);
        var ninth = session.Sender.SendDeviceAsync(0, offset, chunk, None).AsTask();

        await SendAsync(session.Sender, 1, RandomBytes(2, 3_000_000)).WaitAsync(LoopbackSession.Hang);
        await session.SendAllAsync();

        Assert.False(ninth.IsCompleted);
        Assert.Equal(0u, session.Sender.AckedDeviceBytes(0));
        open.SetResult();
        await ninth.WaitAsync(LoopbackSession.Hang);
        offset += (ulong)chunk.Length;
        byte[] whole = [.. Enumerable.Repeat(chunk, DeviceLane.MaxFrames + 1).SelectMany(bytes => bytes)];
        await session.Sender.EndDeviceAsync(0, offset, Crc32C.Compute(whole), None).WaitAsync(LoopbackSession.Hang);
        await session.FinishAsync();
    }

    [Fact]
    public async Task A_call_that_waits_for_a_slow_device_can_be_cancelled_without_harm()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await LoopbackSession.StartAsync(1, devices: 1, sink: new MemorySink(_ => open.Task));
        for (int i = 0; i < DeviceLane.MaxFrames; i++) await session.Sender.SendDeviceAsync(0, (ulong)i, new byte[1], None);
        using var cancel = new CancellationTokenSource();
        var waiting = session.Sender.SendDeviceAsync(0, DeviceLane.MaxFrames, new byte[1], cancel.Token).AsTask();
        Assert.False(waiting.IsCompleted);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(LoopbackSession.Hang));

        open.SetResult();
        await session.Sender.SendDeviceAsync(0, DeviceLane.MaxFrames, new byte[1], None).AsTask().WaitAsync(LoopbackSession.Hang);
        await session.Sender.EndDeviceAsync(0, DeviceLane.MaxFrames + 1, Crc32C.Compute(new byte[DeviceLane.MaxFrames + 1]), None).WaitAsync(LoopbackSession.Hang);
        await session.SendAllAsync();
        await session.FinishAsync();
    }

    [Fact]
    public async Task Of_a_long_chunk_that_is_cancelled_what_left_is_known()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await LoopbackSession.StartAsync(1, devices: 2, sink: new MemorySink(_ => open.Task));
        byte[] state = RandomBytes(1, (DeviceLane.MaxFrames + 2) * DataPlaneWire.MaxDeviceChunkBytes);
        using var cancel = new CancellationTokenSource();
        var waiting = session.Sender.SendDeviceAsync(0, 0, state, cancel.Token).AsTask();
        while (session.Sender.DevicePosition(0) < DeviceLane.MaxFrames * DataPlaneWire.MaxDeviceChunkBytes) await Task.Yield();
        await session.Sender.SendDeviceAsync(1, 0, new byte[1], None).AsTask().WaitAsync(LoopbackSession.Hang); // after which the writer has left the first one alone
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(LoopbackSession.Hang));
        int left = (int)session.Sender.DevicePosition(0);
        Assert.Equal(DeviceLane.MaxFrames * DataPlaneWire.MaxDeviceChunkBytes, left);

        open.SetResult();
        await session.Sender.SendDeviceAsync(0, (ulong)left, state.AsMemory(left), None).AsTask().WaitAsync(LoopbackSession.Hang);
        await session.Sender.EndDeviceAsync(0, (ulong)state.Length, Crc32C.Compute(state), None).WaitAsync(LoopbackSession.Hang);
        await session.Sender.EndDeviceAsync(1, 1, Crc32C.Compute(new byte[1]), None).WaitAsync(LoopbackSession.Hang);
        await session.SendAllAsync();
        await session.FinishAsync();
    }

    [Fact]
    public async Task Final_device_state_never_waits_behind_bulk_pages()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await LoopbackSession.StartAsync(64, devices: 1, proxy: to => new FaultProxy(
            to, async (connection, position, bytes) =>
            {
                if (connection > 0 && position > 0) await open.Task; // pages are stuck after the hello
                return bytes.Length;
            }));
        session.Source.FillRandom(1);
        var pass = session.SendAllAsync();

        await SendAsync(session.Sender, 0, RandomBytes(1, 5_000_000)).WaitAsync(LoopbackSession.Hang);

        Assert.False(pass.IsCompleted);
        Assert.Equal(0, session.Receiver.Counters.PageBytes);
        open.SetResult();
        await pass;
        await session.FinishAsync();
    }

    [Fact]
    public async Task Initial_bytes_are_acknowledged_once_the_device_has_loaded_all_of_them()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var session = await LoopbackSession.StartAsync(1, devices: 2, sink: new MemorySink(_ => open.Task));
        await session.Sender.SendDeviceAsync(1, 0, new byte[1000], None);
        var loaded = session.Sender.EndInitialBytesAsync(1, None);
        Assert.False(loaded.IsCompleted);
        Assert.False(session.Sender.AreInitialBytesLoaded(1));

        open.SetResult();
        await loaded.WaitAsync(LoopbackSession.Hang);
        await session.Sender.EndDeviceAsync(1, 1000, Crc32C.Compute(new byte[1000]), None).WaitAsync(LoopbackSession.Hang);

        Assert.True(session.Sender.AreInitialBytesLoaded(1));
        Assert.False(session.Sender.AreInitialBytesLoaded(0));
        Assert.Equal(1000, session.Sink.InitialBytes[1]);
    }

    [Fact]
    public async Task Initial_bytes_that_a_device_has_again_are_acknowledged_anew()
    {
        var open = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        int chunks = 0;
        await using var session = await LoopbackSession.StartAsync(
            1, devices: 1, sink: new MemorySink(_ => Interlocked.Increment(ref chunks) == 1 ? Task.CompletedTask : open.Task));
        await session.Sender.SendDeviceAsync(0, 0, new byte[1000], None);
        await session.Sender.EndInitialBytesAsync(0, None).WaitAsync(LoopbackSession.Hang);
        Assert.True(session.Sender.AreInitialBytesLoaded(0));

        await session.Sender.SendDeviceAsync(0, 1000, new byte[500], None);
        var loaded = session.Sender.EndInitialBytesAsync(0, None);
        Assert.False(loaded.IsCompleted);
        Assert.False(session.Sender.AreInitialBytesLoaded(0));

        open.SetResult();
        await loaded.WaitAsync(LoopbackSession.Hang);
        Assert.True(session.Sender.AreInitialBytesLoaded(0));
        Assert.Equal(1500, session.Sink.InitialBytes[0]);
    }

    [Fact]
    public async Task A_corrupted_chunk_never_reaches_the_device()
    {
        const long secondChunkAt = ChannelHello.SizeBytes + 2 * (FrameHeader.SizeBytes + sizeof(uint)) + 1000;
        await using var session = await LoopbackSession.StartAsync(
            1, devices: 1, proxy: to => FailureTests.Flip(to, 0, secondChunkAt + 500));
        await session.Sender.SendDeviceAsync(0, 0, RandomBytes(1, 1000), None);
        await session.Sender.SendDeviceAsync(0, 1000, RandomBytes(2, 1000), None);

        var failure = await FailureTests.FailsAsync(session.Receiver.Completion);

        Assert.True(TransferFailureReason.DeviceChunkCorrupt == failure.Reason, failure.Message);
        Assert.Equal(1000, session.Sink.StreamOf(0).Length);
        Assert.Equal(
            TransferFailureReason.DeviceChunkCorrupt,
            (await FailureTests.FailsAsync(session.Sender.FinishDeviceAsync(0, 2000))).Reason);
    }

    [Fact]
    public async Task A_device_that_refuses_ends_the_session_and_both_sides_say_why()
    {
        var sink = new MemorySink(_ => throw new InvalidOperationException("section gpu/9 is unknown"));
        await using var session = await LoopbackSession.StartAsync(1, devices: 1, sink: sink);
        await session.Sender.SendDeviceAsync(0, 0, new byte[10], None);

        var failure = await FailureTests.FailsAsync(session.Sender.FinishDeviceAsync(0, 10));

        Assert.Equal(TransferFailureReason.DeviceSinkFailed, failure.Reason);
        Assert.Contains("section gpu/9 is unknown", failure.Message, StringComparison.Ordinal);
        Assert.Equal(TransferFailureReason.DeviceSinkFailed, (await FailureTests.FailsAsync(session.Receiver.Completion)).Reason);
    }

    [Fact]
    public async Task A_stream_whose_digest_is_not_that_of_what_was_sent_ends_the_session()
    {
        await using var session = await LoopbackSession.StartAsync(1, devices: 1);
        await session.Sender.SendDeviceAsync(0, 0, new byte[10], None);

        var failure = await FailureTests.FailsAsync(session.Sender.EndDeviceAsync(0, 10, 12345, None));

        Assert.Equal(TransferFailureReason.DeviceStreamDisagrees, failure.Reason);
        Assert.Empty(session.Sink.Ended);
    }

    [Fact]
    public async Task Misuse_by_the_caller_is_refused_by_name()
    {
        await using var session = await LoopbackSession.StartAsync(1, devices: 2);

        await Assert.ThrowsAsync<ArgumentException>(() => session.Sender.SendDeviceAsync(0, 5, new byte[1], None).AsTask());
        await Assert.ThrowsAsync<ArgumentException>(() => session.Sender.SendDeviceAsync(0, 0, Array.Empty<byte>(), None).AsTask());
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(
            () => session.Sender.SendDeviceAsync(2, 0, new byte[1], None).AsTask());
        await Assert.ThrowsAsync<InvalidOperationException>(() => session.Sender.FinishAsync(hashRam: false, None));
        Assert.Null(session.Sender.Failure);
    }

    private static byte[] RandomBytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private static async Task SendAsync(TransferSender sender, int device, byte[] stream)
    {
        var random = new Random(device);
        for (int at = 0; at < stream.Length;)
        {
            int count = Math.Min(random.Next(1, 3 * DataPlaneWire.MaxDeviceChunkBytes), stream.Length - at);
            await sender.SendDeviceAsync(device, (ulong)at, stream.AsMemory(at, count), None);
            at += count;
        }
        await sender.EndDeviceAsync(device, (ulong)stream.Length, Crc32C.Compute(stream), None);
    }
}
