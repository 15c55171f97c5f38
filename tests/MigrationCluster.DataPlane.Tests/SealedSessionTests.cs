using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Sealed sessions over real connections, and somebody on the way who listens, meddles or plays one of the two.</summary>
public sealed class SealedSessionTests
{
    private const long FirstRecordAt = SealedPreface.SizeBytes + ChannelHello.SizeBytes + SealedRecord.OverheadBytes;

    /// <summary>First sealed byte of what follows the welcome on any channel but 0.</summary>
    private const long FirstAckAt =
        SealedPreface.SizeBytes + ChannelWelcome.SizeBytes + SealedRecord.OverheadBytes + SealedRecord.LengthBytes;

    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Nobody_on_the_way_sees_guest_bytes_or_the_secret()
    {
        var seen = new ConcurrentQueue<byte[]>();
        await using var session = await LoopbackSession.StartAsync(
            devices: 1, mode: TransferMode.Sealed, proxy: to => new FaultProxy(to, Listen, Listen));
        byte[] secret = RandomNumberGenerator.GetBytes(16);
        for (int at = 0; at < session.Source.Bytes.Length; at += secret.Length) secret.CopyTo(session.Source.Bytes[at..]);
        var state = new byte[500_000];
        for (int at = 0; at + secret.Length <= state.Length; at += secret.Length) secret.CopyTo(state.AsSpan(at));

        await session.SendAllAsync();
        for (int at = 0; at < state.Length; at += 100_000)
            await session.Sender.SendDeviceAsync(0, (ulong)at, state.AsMemory(at, 100_000), None);
        await session.Sender.EndDeviceAsync(0, (ulong)state.Length, Crc32C.Compute(state), None).WaitAsync(LoopbackSession.Hang);
        await session.FinishAsync();

        Assert.True(session.Source.Bytes.SequenceEqual(session.Destination.Bytes));
        Assert.Equal(state, session.Sink.StreamOf(0));
        Assert.True(seen.Sum(bytes => (long)bytes.Length) > session.Source.Bytes.Length);
        foreach (byte[] bytes in seen)
        {
            Assert.Equal(-1, bytes.AsSpan().IndexOf(secret));
            Assert.Equal(-1, bytes.AsSpan().IndexOf(session.Token.Bytes[..16]));
            Assert.Equal(-1, bytes.AsSpan().IndexOf(ChannelHello.Magic));
        }

        ValueTask<int> Listen(int connection, long position, Memory<byte> bytes)
        {
            seen.Enqueue(bytes.ToArray());
            return ValueTask.FromResult(bytes.Length);
        }
    }

    [Theory]
    [InlineData(1, FirstRecordAt + 100_000)] // a page
    [InlineData(2, FirstRecordAt + 1)] // a record's length
    [InlineData(0, FirstRecordAt + 300_000)] // a device's chunk
    public async Task A_bit_flipped_on_the_way_is_named_on_both_sides_and_nothing_of_its_record_is_used(int connection, long at)
    {
        await using var session = await LoopbackSession.StartAsync(
            devices: 1, mode: TransferMode.Sealed, proxy: to => FailureTests.Flip(to, connection, at));
        session.Source.FillRandom(1);
        var pages = session.AllPages();
        var state = new byte[DataPlaneWire.MaxDeviceChunkBytes];

        var pass = session.Sender.SendPagesAsync(pages, true, None);
        var stream = Task.Run(async () =>
        {
            for (int i = 0; i < 4; i++) await session.Sender.SendDeviceAsync(0, (ulong)(i * state.Length), state, None);
            await session.Sender.FinishDeviceAsync(0, (ulong)(4 * state.Length));
        });
        await Assert.ThrowsAsync<TransferFailedException>(() => Task.WhenAll(pass, stream).WaitAsync(LoopbackSession.Hang));

        Assert.Equal(TransferFailureReason.SealBroken, session.Sender.Failure!.Reason);
        Assert.Equal("transfer.seal-broken", session.Sender.Failure.Code);
        Assert.Equal(TransferFailureReason.SealBroken, (await FailureTests.FailsAsync(session.Receiver.Completion)).Reason);
        var zeros = new byte[GuestMemoryLayout.PageSizeBytes];
        for (long page = 0; page < pages.PageCount; page++)
            Assert.True(session.Destination.Page(page).SequenceEqual(zeros)
                || session.Destination.Page(page).SequenceEqual(session.Source.Page(page)), $"page {page}");
    }

    [Fact]
    public async Task An_acknowledgement_that_was_changed_is_not_believed()
    {
        await using var session = await LoopbackSession.StartAsync(mode: TransferMode.Sealed, proxy: to => new FaultProxy(
            to, (_, _, bytes) => ValueTask.FromResult(bytes.Length), (number, position, bytes) =>
            {
                if (number == 1 && FirstAckAt >= position && FirstAckAt < position + bytes.Length)
                    bytes.Span[(int)(FirstAckAt - position)] ^= 1;
                return ValueTask.FromResult(bytes.Length);
            }));
        session.Source.FillRandom(1);
        var pages = session.AllPages();

        Assert.Equal(
            TransferFailureReason.SealBroken, (await FailureTests.FailsAsync(session.Sender.SendPagesAsync(pages, true, None))).Reason);
        for (long page = 0; page < DataPlaneWire.PagesPerRange; page++) Assert.True(pages[page]); // channel 1's first range
    }

    [Fact]
    public async Task Connections_played_again_or_made_by_who_only_knows_the_session_by_name_disturb_nobody()
    {
        byte[][] said = [[], [], []];
        await using var session = await LoopbackSession.StartAsync(
            devices: 1, mode: TransferMode.Sealed, reconnectLimit: LoopbackSession.Hang, proxy: to => new FaultProxy(
                to, (number, _, bytes) =>
                {
                    lock (said) said[number] = [.. said[number], .. bytes.Span];
                    return ValueTask.FromResult(bytes.Length);
                }));
        session.Source.FillRandom(1);
        await session.Sender.SendPagesAsync(new PageBitmap(session.Source.Layout.PageCount) { [1] = true, [600] = true }, false, None);
        session.Destination.Page(1).Fill(7);

        int replays = 0;
        byte[][] recorded;
        lock (said) recorded = [.. said];
        foreach (byte[] stream in recorded)
        {
            using var again = await RawPeer.ConnectAsync(session.Listener.EndPoint);
            await again.SendAsync(stream);
            byte[] answer = await RawPeer.ReceiveToEndAsync(again); // a preface at most; a reset may swallow it
            Assert.True(answer.Length <= SealedPreface.SizeBytes, $"{answer.Length} bytes");
            replays++;
        }
        using (var stranger = await RawPeer.ConnectAsync(session.Listener.EndPoint))
        {
            await stranger.SendAsync(recorded[0].AsMemory(0, SealedPreface.SizeBytes));
            var preface = new byte[SealedPreface.SizeBytes];
            await RawPeer.ReceiveAsync(stranger, preface);
            Assert.Null(SealedPreface.Read(preface, out var answer));
            Assert.Equal(ChannelStatus.Accepted, answer.Status);
            var guess = RandomNumberGenerator.GetBytes(ChannelHello.SizeBytes + SealedRecord.OverheadBytes);
            BitConverter.TryWriteBytes(guess, ChannelHello.SizeBytes);
            await stranger.SendAsync(guess);
            Assert.Empty(await RawPeer.ReceiveToEndAsync(stranger));
        }

        Assert.Equal(7, session.Destination.Page(1)[0]);
        Assert.Null(session.Receiver.Failure);
        while (session.Dropped.Count < replays + 1) await Task.Yield();
        Assert.All(session.Dropped, dropped => Assert.Equal(DropReason.SealBroken, dropped.Reason));
        await session.SendAllAsync();
        await session.Sender.EndDeviceAsync(0, 0, 0, None).WaitAsync(LoopbackSession.Hang);
        await session.FinishAsync();
    }

    [Theory]
    [InlineData(TransferMode.Sealed)]
    [InlineData(TransferMode.Plain)]
    public async Task A_session_is_never_talked_into_the_other_mode(TransferMode mode)
    {
        await using var session = await LoopbackSession.StartAsync(mode: mode);
        var other = mode == TransferMode.Sealed ? TransferMode.Plain : TransferMode.Sealed;

        var refused = await Assert.ThrowsAsync<TransferFailedException>(() => TransferSender.ConnectAsync(
            session.Listener.EndPoint, session.Token, other, session.Source.Mapped, 0, TransferOptions.Default, None));

        Assert.Equal(TransferFailureReason.HandshakeRefused, refused.Reason);
        Assert.Contains("one side seals", refused.Message, StringComparison.Ordinal);
        while (session.Dropped.IsEmpty) await Task.Yield();
        Assert.Equal([DropReason.WrongMode], session.Dropped.Select(dropped => dropped.Reason));
        await session.SendAllAsync();
        await session.FinishAsync();
    }

    [Fact]
    public async Task A_source_says_nothing_to_a_port_that_does_not_know_the_secret()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using var ram = new TestRam(1);
        var token = new SessionToken(RandomNumberGenerator.GetBytes(SessionToken.SizeBytes));
        var connecting = TransferSender.ConnectAsync(
            (IPEndPoint)listening.LocalEndPoint!, token, TransferMode.Sealed, ram.Mapped, 0, TransferOptions.Default, None);
        using var impostor = await listening.AcceptAsync();
        var preface = new byte[SealedPreface.SizeBytes];
        await RawPeer.ReceiveAsync(impostor, preface);
        await impostor.SendAsync(preface);
        var hello = new byte[ChannelHello.SizeBytes + SealedRecord.OverheadBytes];
        await RawPeer.ReceiveAsync(impostor, hello);
        await impostor.SendAsync(Record(RandomNumberGenerator.GetBytes(ChannelWelcome.SizeBytes + SealedRecord.OverheadBytes)));

        var failure = await FailureTests.FailsAsync(connecting);

        Assert.Equal(TransferFailureReason.SealBroken, failure.Reason);
        Assert.Empty(await RawPeer.ReceiveToEndAsync(impostor));
        Assert.Equal(-1, hello.AsSpan().IndexOf(ChannelHello.Magic));

        static byte[] Record(byte[] bytes)
        {
            BitConverter.TryWriteBytes(bytes, bytes.Length - SealedRecord.OverheadBytes);
            return bytes;
        }
    }
}
