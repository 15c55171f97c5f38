using System.Net;
using System.Net.Sockets;
using MigrationCluster.DataPlane.Sending;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Whatever ends a session, both sides name it, and the source knows which pages were not acknowledged.</summary>
public sealed class FailureTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    // Channel 1's first frame: hello, header, 64 CRCs, 64 pages from page 0 on.
    private const long FirstPageAt = ChannelHello.SizeBytes + FrameHeader.SizeBytes + 64 * sizeof(uint);

    [Fact]
    public async Task A_bit_flipped_in_a_page_is_noticed_and_the_page_not_written()
    {
        await using var session = await LoopbackSession.StartAsync(proxy: to => Flip(to, 1, FirstPageAt + 5 * 4096 + 77));
        session.Source.FillRandom(1);
        var pages = session.AllPages();

        var failure = await FailsAsync(session.Sender.SendPagesAsync(pages, true, None));

        Assert.Equal(TransferFailureReason.PageCorrupt, failure.Reason);
        Assert.Equal(TransferFailureReason.PageCorrupt, (await FailsAsync(session.Receiver.Completion)).Reason);
        Assert.Equal(-1, session.Destination.Page(5).IndexOfAnyExcept((byte)0));
        Assert.Equal(0u, session.Destination.Mapped.DigestOf(5));
        Assert.True(pages[5]);
        AssertAckedPagesArrived(session, pages);
    }

    [Fact]
    public async Task A_bit_flipped_in_a_header_is_a_bad_frame()
    {
        await using var session = await LoopbackSession.StartAsync(proxy: to => Flip(to, 1, ChannelHello.SizeBytes + 17));
        session.Source.FillRandom(1);

        var failure = await FailsAsync(session.Sender.SendPagesAsync(session.AllPages(), true, None));

        Assert.Equal(TransferFailureReason.BadFrame, failure.Reason);
        Assert.Equal(TransferFailureReason.BadFrame, (await FailsAsync(session.Receiver.Completion)).Reason);
    }

    [Theory]
    [InlineData(1, FirstPageAt + (3 << 20) + 100)]
    [InlineData(2, ChannelHello.SizeBytes + 7)]
    public async Task A_connection_cut_in_the_middle_of_a_frame_is_named_on_both_sides(int connection, long at)
    {
        await using var session = await LoopbackSession.StartAsync(16, proxy: to => new FaultProxy(
            to, (number, position, bytes) => ValueTask.FromResult(
                number == connection ? (int)Math.Clamp(at - position, 0, bytes.Length) : bytes.Length)));
        session.Source.FillRandom(1);
        var pages = session.AllPages();

        var failure = await FailsAsync(session.Sender.SendPagesAsync(pages, true, None));

        Assert.Equal(TransferFailureReason.ConnectionLost, failure.Reason);
        Assert.Equal("transfer.connection-lost", failure.Code);
        Assert.Equal(TransferFailureReason.ConnectionLost, (await FailsAsync(session.Receiver.Completion)).Reason);
        Assert.False(pages.IsEmpty);
        AssertAckedPagesArrived(session, pages);
        // The first reason stays, whoever asks.
        Assert.Equal(failure.Message, (await FailsAsync(session.Sender.SendPagesAsync(pages, true, None))).Message);
    }

    [Fact]
    public async Task A_link_that_is_gone_before_its_last_connection_opens_is_a_lost_one_and_another_may_carry_on()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using var ram = new TestRam(1);
        var connecting = TransferSender.ConnectAsync(
            (IPEndPoint)listening.LocalEndPoint!, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default with { Channels = 2 }, None);
        using var control = await WelcomeAsync(listening);
        using var channel = await WelcomeAsync(listening, standing: false, ChannelStatus.WrongChannel);

        var failure = await FailsAsync(connecting);

        Assert.Equal(TransferFailureReason.ConnectionLost, failure.Reason);
        Assert.True(failure.MayResume);
        Assert.Contains("link 1 is no more", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_destination_that_acknowledges_nothing_gets_16_MiB_and_no_more()
    {
        const int FrameBytes = DataPlaneWire.MaxPagesPerFrame * 4096;
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using var ram = new TestRam(24);
        ram.FillRandom(1);
        var connecting = TransferSender.ConnectAsync(
            (IPEndPoint)listening.LocalEndPoint!, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default with { Channels = 2 }, None);
        using var control = await WelcomeAsync(listening);
        using var channel = await WelcomeAsync(listening, standing: false);
        await using var sender = await connecting.WaitAsync(LoopbackSession.Hang);
        var pages = new PageBitmap(ram.Layout.PageCount);
        pages.SetAll();
        using var cancel = new CancellationTokenSource();
        var pass = sender.SendPagesAsync(pages, false, cancel.Token);
        var frame = new byte[FrameHeader.SizeBytes + DataPlaneWire.MaxPayloadBytes];
        for (long bytes = 0; bytes < InFlightWindow.MaxBytes; bytes += FrameBytes) await RawPeer.ReceiveAsync(channel, frame);
        Assert.Equal(InFlightWindow.MaxBytes, sender.Counters.PageBytes);

        var ack = new byte[FrameHeader.SizeBytes];
        new FrameHeader(FrameKind.Ack, 0, 1, 3, 1).Write(ack); // the third frame alone
        await channel.SendAsync(ack);
        await RawPeer.ReceiveAsync(channel, frame);

        Assert.Equal(InFlightWindow.MaxBytes + FrameBytes, sender.Counters.PageBytes);
        Assert.Equal(FrameBytes, sender.Counters.AckedBytes);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pass.WaitAsync(LoopbackSession.Hang));
        Assert.Equal(pages.PageCount - DataPlaneWire.MaxPagesPerFrame, pages.Count());
        Assert.True(pages[2 * DataPlaneWire.MaxPagesPerFrame - 1]);
        Assert.False(pages[2 * DataPlaneWire.MaxPagesPerFrame]);
        Assert.True(pages[3 * DataPlaneWire.MaxPagesPerFrame]);
    }

    [Fact]
    public async Task A_pass_that_is_stuck_in_the_middle_of_a_frame_can_be_cancelled_and_takes_the_session_with_it()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.ReceiveBufferSize = 4096; // so that a send is stuck long before the window is full
        listening.Listen();
        using var ram = new TestRam(16);
        ram.FillRandom(1);
        var connecting = TransferSender.ConnectAsync(
            (IPEndPoint)listening.LocalEndPoint!, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default with { Channels = 2 }, None);
        using var control = await WelcomeAsync(listening);
        using var channel = await WelcomeAsync(listening, standing: false);
        await using var sender = await connecting.WaitAsync(LoopbackSession.Hang);
        var pages = new PageBitmap(ram.Layout.PageCount);
        pages.SetAll();
        using var cancel = new CancellationTokenSource();
        var pass = sender.SendPagesAsync(pages, false, cancel.Token);
        await RawPeer.ReceiveAsync(channel, new byte[FrameHeader.SizeBytes]); // it has begun

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pass.WaitAsync(LoopbackSession.Hang));
        Assert.Equal(pages.PageCount, pages.Count());
    }

    [Fact]
    public async Task An_acknowledgement_of_what_was_never_sent_ends_the_session()
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        using var ram = new TestRam(1);
        var connecting = TransferSender.ConnectAsync(
            (IPEndPoint)listening.LocalEndPoint!, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default with { Channels = 2 }, None);
        using var control = await WelcomeAsync(listening);
        using var channel = await WelcomeAsync(listening, standing: false);
        await using var sender = await connecting.WaitAsync(LoopbackSession.Hang);
        var ack = new byte[FrameHeader.SizeBytes];
        new FrameHeader(FrameKind.Ack, 0, 1, 1000, 1).Write(ack);
        await channel.SendAsync(ack);
        var pages = new PageBitmap(ram.Layout.PageCount);
        pages.SetAll();

        var failure = await FailsAsync(sender.SendPagesAsync(pages, false, None));

        Assert.Equal(TransferFailureReason.BadFrame, failure.Reason);
        Assert.Equal(pages.PageCount, pages.Count());
    }

    [Fact]
    public async Task A_source_that_closes_and_a_destination_that_closes_are_told_apart()
    {
        await using var first = await LoopbackSession.StartAsync();
        await first.Sender.DisposeAsync();
        Assert.Equal(TransferFailureReason.ConnectionLost, (await FailsAsync(first.Receiver.Completion)).Reason);

        await using var second = await LoopbackSession.StartAsync();
        await second.Receiver.DisposeAsync();
        var failure = await FailsAsync(second.Sender.FinishAsync(hashRam: false, None));
        Assert.Equal(TransferFailureReason.Cancelled, failure.Reason);
        Assert.Contains("destination closed", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_destination_that_holds_something_else_never_agrees()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        session.Destination.Mapped.Digests(17, 1)[0] ^= 1;

        Assert.Equal(TransferFailureReason.ManifestDisagrees, (await FailsAsync(session.Sender.FinishAsync(hashRam: false, None))).Reason);
        Assert.Equal(TransferFailureReason.ManifestDisagrees, (await FailsAsync(session.Receiver.Completion)).Reason);
    }

    [Fact]
    public async Task Nothing_is_written_after_the_manifest_was_agreed_upon()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        await session.SendAllAsync();
        await session.FinishAsync();
        byte before = session.Destination.Page(0)[0];
        session.Source.Page(0)[0]++;
        var pages = new PageBitmap(session.Source.Layout.PageCount) { [0] = true };

        await FailsAsync(session.Sender.SendPagesAsync(pages, false, None));

        Assert.Equal(before, session.Destination.Page(0)[0]);
        Assert.True(session.Receiver.Completion.IsCompletedSuccessfully);
    }

    internal static async Task<TransferFailedException> FailsAsync(Task task) =>
        await Assert.ThrowsAsync<TransferFailedException>(() => task.WaitAsync(LoopbackSession.Hang));

    internal static FaultProxy Flip(IPEndPoint to, int connection, long at) => new(to, (number, position, bytes) =>
    {
        if (number == connection && at >= position && at < position + bytes.Length) bytes.Span[(int)(at - position)] ^= 0x10;
        return ValueTask.FromResult(bytes.Length);
    });

    private static async Task<Socket> WelcomeAsync(Socket listening, bool standing = true, ChannelStatus status = ChannelStatus.Accepted)
    {
        var socket = await listening.AcceptAsync();
        await RawPeer.ReceiveAsync(socket, new byte[ChannelHello.SizeBytes]);
        var welcome = new byte[ChannelWelcome.SizeBytes];
        new ChannelWelcome(DataPlaneWire.Version, status).Write(welcome);
        await socket.SendAsync(welcome);
        if (standing) await socket.SendAsync(new LinkStanding(1, 1, []).ToBytes());
        return socket;
    }

    private static void AssertAckedPagesArrived(LoopbackSession session, PageBitmap unacked)
    {
        for (long page = 0; page < unacked.PageCount; page++)
            if (!unacked[page]) Assert.True(session.Source.Page(page).SequenceEqual(session.Destination.Page(page)));
    }
}
