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

    private const int FrameCount = 5;

    /// <summary>What a peer, or somebody on the way of a plain session, can do that a check meets.</summary>
    private static readonly Func<List<byte[]>, Random, int>[] Attacks =
    [
        (frames, random) => Tampering.Mutate(frames, random, from: 0),
        Tampering.Truncate,
        Tampering.LeaveOut,
        Tampering.Repeat,
        Tampering.Swap,
        Oversize,
        Misplace,
        Tampering.CutBetween,
    ];

    [Fact]
    public void Nothing_is_taken_of_frames_that_were_changed_and_only_pages_that_match_their_check_are_written()
    {
        using var ram = new TestRam(8);
        var random = new Random(11);
        var stream = new byte[200_000];
        var untouched = new byte[4096];
        Array.Fill(untouched, (byte)0xAB);
        ram.Bytes.Fill(0xAB);
        var named = new int[Attacks.Length];
        var meter = new TransferMeter(ram.Mapped.Ledger);
        long before = 0;
        byte[] buffer = FrameReader.NewBuffer(DataPlaneWire.MaxPayloadBytes);
        var lengths = new int[FrameCount];
        for (int round = 0; round < Tampering.Rounds; round++)
        {
            if (round == 1000) before = GC.GetTotalAllocatedBytes(precise: true);
            WriteStream(stream, random, lengths);
            var frames = Split(stream, lengths);
            int attack = round % Attacks.Length, intact = Attacks[attack](frames, random), length = 0;
            foreach (byte[] frame in frames)
            {
                frame.CopyTo(stream, length);
                length += frame.Length;
            }
            var reader = new FrameReader(new Connection(null!), Shape, FrameRoute.PageChannel, buffer, meter);
            int taken = 0;
            try
            {
                Feed(reader, stream.AsSpan(0, length), new PageSink(ram.Mapped, meter), ref taken);
            }
            catch (TransferFailedException failure)
            {
                named[attack]++;
                Assert.True(failure.Reason is TransferFailureReason.BadFrame or TransferFailureReason.PageCorrupt
                    or TransferFailureReason.ConnectionLost);
            }
            Assert.Equal(intact, taken);
        }
        // Cut between two frames a stream just ends; the session misses its manifest then. Everything else is refused by name.
        Assert.All(named[..^1], count => Assert.Equal(Tampering.Rounds / Attacks.Length, count));
        Assert.Equal(0, named[^1]);
        // The test's own copies of the frames, an exception and a sink a round; nothing by a length from the wire.
        Assert.True((GC.GetTotalAllocatedBytes(precise: true) - before) / Math.Max(Tampering.Rounds - 1000, 1) < 400 * 1024);
        for (long page = 0; page < Pages; page++)
            if (!ram.Page(page).SequenceEqual(untouched))
                Assert.Equal(Crc32C.Compute(ram.Page(page)), ram.Mapped.DigestOf(page));
    }

    /// <summary>A header with a good check that says more than there is, or than there may be.</summary>
    private static int Oversize(List<byte[]> frames, Random random)
    {
        int at = random.Next(FrameCount);
        ulong sequence = (ulong)at + 1, huge = (ulong)random.NextInt64() | 1UL << 62;
        Rewrite(frames, at, random.Next(6) switch
        {
            0 => new FrameHeader(FrameKind.Pages, 0, sequence, 0, DataPlaneWire.MaxPagesPerFrame + 1),
            1 => new FrameHeader(FrameKind.Pages, 0, sequence, Pages - 1, 2),
            2 => new FrameHeader(FrameKind.Pages, 0, sequence, huge, 1),
            3 => new FrameHeader(FrameKind.ZeroRun, 0, sequence, 1, Pages),
            4 => new FrameHeader(FrameKind.ZeroRun, 0, sequence, 1, ulong.MaxValue),
            _ => new FrameHeader(FrameKind.Pages, 0, sequence, 0, huge),
        });
        return at;
    }

    /// <summary>A good frame of a kind that does not travel here, or with something in it that must not be.</summary>
    private static int Misplace(List<byte[]> frames, Random random)
    {
        int at = random.Next(FrameCount);
        ulong sequence = (ulong)at + 1;
        Rewrite(frames, at, random.Next(4) switch
        {
            0 => new FrameHeader(FrameKind.DeviceChunk, 1, sequence, 0, DataPlaneWire.MaxDeviceChunkBytes),
            1 => new FrameHeader(FrameKind.Ack, 0, sequence, 1, 1),
            2 => new FrameHeader((FrameKind)random.Next(32, 256), 0, sequence, 0, 1),
            _ => new FrameHeader(FrameKind.ZeroRun, (ushort)random.Next(1, 65536), sequence, 0, 1),
        });
        return at;
    }

    private static void Rewrite(List<byte[]> frames, int at, in FrameHeader header)
    {
        frames[at] = [.. frames[at]];
        header.Write(frames[at]);
    }

    private static List<byte[]> Split(ReadOnlySpan<byte> stream, ReadOnlySpan<int> lengths)
    {
        var frames = new List<byte[]>();
        foreach (int length in lengths)
        {
            frames.Add(stream[..length].ToArray());
            stream = stream[length..];
        }
        return frames;
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
                int length = WriteStream(stream, random, new int[random.Next(1, 6)]);
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
    /// <param name="lengths">takes the length of each.</param>
    /// <returns>of all of them.</returns>
    private static int WriteStream(byte[] stream, Random random, int[] lengths)
    {
        int length = 0;
        for (int number = 1; number <= lengths.Length; length += lengths[number - 1], number++)
        {
            int count = random.Next(1, 9);
            ulong first = (ulong)random.Next(Pages - count);
            if (random.Next(4) == 0)
            {
                new FrameHeader(FrameKind.ZeroRun, 0, (ulong)number, first, 1).Write(stream.AsSpan(length));
                lengths[number - 1] = FrameHeader.SizeBytes;
                continue;
            }
            new FrameHeader(FrameKind.Pages, 0, (ulong)number, first, (ulong)count).Write(stream.AsSpan(length));
            var checks = stream.AsSpan(length + FrameHeader.SizeBytes, count * sizeof(uint));
            var pages = stream.AsSpan(length + FrameHeader.SizeBytes + checks.Length, count * 4096);
            pages.Fill((byte)random.Next(1, 256));
            for (int i = 0; i < count; i++)
                BitConverter.TryWriteBytes(checks[(i * sizeof(uint))..], Crc32C.Compute(pages.Slice(i * 4096, 4096)));
            lengths[number - 1] = FrameHeader.SizeBytes + checks.Length + pages.Length;
        }
        return length;
    }

    private static void Feed(FrameReader reader, ReadOnlySpan<byte> stream, PageSink sink, ref int taken)
    {
        while (true)
        {
            for (; reader.TryRead(); taken++) sink.Take(reader.Header, reader.Payload.Span);
            var room = reader.Room().Span;
            int count = Math.Min(room.Length, stream.Length);
            stream[..count].CopyTo(room);
            stream = stream[count..];
            if (!reader.Received(count)) return;
        }
    }
}
