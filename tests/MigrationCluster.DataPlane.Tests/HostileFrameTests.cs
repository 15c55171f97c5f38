using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Receiving;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Frames from a peer that means harm: none is taken that does not match its check, nothing crashes or grows.</summary>
[Collection(nameof(Alone))]
public sealed class HostileFrameTests
{
    private const int Pages = 2048;
    private static readonly SessionShape Shape = new(Pages, 3);

    [Fact]
    public void Mutated_and_truncated_streams_write_only_pages_that_match_their_check()
    {
        using var ram = new TestRam(8);
        var random = new Random(11);
        var stream = new byte[200_000];
        var untouched = new byte[4096];
        Array.Fill(untouched, (byte)0xAB);
        ram.Bytes.Fill(0xAB);
        int refused = 0;
        var meter = new TransferMeter(ram.Mapped.Ledger);
        long before = 0;
        byte[] buffer = FrameReader.NewBuffer(DataPlaneWire.MaxPayloadBytes);
        for (int round = 0; round < 30_000; round++)
        {
            if (round == 1000) before = GC.GetTotalAllocatedBytes(precise: true);
            int length = WriteStream(stream, random);
            int flips = random.Next(1, 4);
            for (int i = 0; i < flips; i++) stream[random.Next(length)] ^= (byte)(1 << random.Next(8));
            if (random.Next(4) == 0) length = random.Next(length);
            var reader = new FrameReader(new Connection(null!), Shape, FrameRoute.PageChannel, buffer, meter);
            try
            {
                Feed(reader, stream.AsSpan(0, length), new PageSink(ram.Mapped, meter));
            }
            catch (TransferFailedException failure)
            {
                refused++;
                Assert.True(failure.Reason is TransferFailureReason.BadFrame or TransferFailureReason.PageCorrupt
                    or TransferFailureReason.ConnectionLost);
            }
        }
        // An exception and a sink a round; not the 200 KB that went through.
        Assert.True((GC.GetTotalAllocatedBytes(precise: true) - before) / 29_000 < 8192);
        Assert.True(refused > 29_000, $"{refused} refused");
        for (long page = 0; page < Pages; page++)
            if (!ram.Page(page).SequenceEqual(untouched))
                Assert.Equal(Crc32C.Compute(ram.Page(page)), ram.Mapped.DigestOf(page));
    }

    [Fact]
    public async Task A_peer_that_knows_the_token_and_sends_garbage_ends_its_session_with_a_reason_and_the_port_lives_on()
    {
        var random = new Random(12);
        var stream = new byte[200_000];
        await using var port = await LoopbackSession.StartAsync();
        for (int round = 0; round < 200; round++)
        {
            using var ram = new TestRam(8);
            var token = new SessionToken(Enumerable.Repeat((byte)(round + 1), 32).ToArray());
            await using var receiver = port.Listener.Open(token, TransferMode.Plain, ram.Mapped, new MemorySink(), 3);
            var hello = new ChannelHello(DataPlaneWire.Version, 0, 3, token, Shape);
            var (channel, status) = await RawPeer.OpenAsync(port.Listener.EndPoint, hello);
            using var first = channel;
            if (round % 3 > 0)
                (channel, status) = await RawPeer.OpenAsync(
                    port.Listener.EndPoint, hello with { Channel = (ushort)(round % 3), Link = 1 });
            using (channel)
            {
                Assert.Equal(ChannelStatus.Accepted, status);
                int length = WriteStream(stream, random);
                stream[random.Next(length)] ^= 0x40;
                try
                {
                    await channel.SendAsync(stream.AsMemory(0, length));
                    channel.Shutdown(System.Net.Sockets.SocketShutdown.Send);
                }
                catch (System.Net.Sockets.SocketException)
                {
                    // Dropped in the middle of it.
                }
                var failure = await FailureTests.FailsAsync(receiver.Completion);
                Assert.True(failure.Reason is TransferFailureReason.BadFrame or TransferFailureReason.PageCorrupt
                    or TransferFailureReason.ConnectionLost, failure.Message);
            }
        }
        await port.SendAllAsync();
        await port.FinishAsync();
    }

    [Fact]
    public void A_source_beyond_its_device_window_finds_no_place_and_takes_no_memory()
    {
        using var funnel = new BreakFunnel();
        using var ram = new TestRam(1);
        var inbox = new DeviceInbox(new DeviceStream(1, 0, 0), new MemorySink(), funnel, new TransferMeter(ram.Mapped.Ledger)); // its loop does not run
        var payload = new byte[sizeof(uint) + DataPlaneWire.MaxDeviceChunkBytes];
        var header = new FrameHeader(FrameKind.DeviceChunk, 1, 1, 0, DataPlaneWire.MaxDeviceChunkBytes);
        for (int i = 0; i < Sending.DeviceLane.MaxFrames; i++) Assert.True(inbox.TryPost(header, payload));
        long before = GC.GetAllocatedBytesForCurrentThread();

        for (int i = 0; i < 1000; i++) Assert.False(inbox.TryPost(header, payload));

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    /// <summary>A few good frames of page channels, with good checks.</summary>
    private static int WriteStream(byte[] stream, Random random)
    {
        int length = 0;
        int frames = random.Next(1, 6);
        for (int number = 1; number <= frames; number++)
        {
            int count = random.Next(1, 9);
            ulong first = (ulong)random.Next(Pages - count);
            if (random.Next(4) == 0)
            {
                new FrameHeader(FrameKind.ZeroRun, 0, (ulong)number, first, 1).Write(stream.AsSpan(length));
                length += FrameHeader.SizeBytes;
                continue;
            }
            new FrameHeader(FrameKind.Pages, 0, (ulong)number, first, (ulong)count).Write(stream.AsSpan(length));
            var checks = stream.AsSpan(length + FrameHeader.SizeBytes, count * sizeof(uint));
            var pages = stream.AsSpan(length + FrameHeader.SizeBytes + checks.Length, count * 4096);
            pages.Fill((byte)random.Next(1, 256));
            for (int i = 0; i < count; i++)
                BitConverter.TryWriteBytes(checks[(i * sizeof(uint))..], Crc32C.Compute(pages.Slice(i * 4096, 4096)));
            length += FrameHeader.SizeBytes + checks.Length + pages.Length;
        }
        return length;
    }

    private static void Feed(FrameReader reader, ReadOnlySpan<byte> stream, PageSink sink)
    {
        while (true)
        {
            while (reader.TryRead()) sink.Take(reader.Header, reader.Payload.Span);
            var room = reader.Room().Span;
            int count = Math.Min(room.Length, stream.Length);
            stream[..count].CopyTo(room);
            stream = stream[count..];
            if (!reader.Received(count)) return;
        }
    }
}
