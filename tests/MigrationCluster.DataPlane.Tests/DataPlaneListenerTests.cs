using System.Net;
using System.Text;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Tests;

public sealed class DataPlaneListenerTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Theory]
    [InlineData("127.0.0.1", null, TransferMode.Plain)]
    [InlineData("::1", null, TransferMode.Plain)]
    [InlineData("192.0.2.1", null, TransferMode.Sealed)]
    [InlineData("2001:db8::1", null, TransferMode.Sealed)]
    [InlineData("192.0.2.1", "ada", TransferMode.Plain)]
    public void Beyond_loopback_sessions_are_sealed_unless_somebody_takes_it_upon_himself(string address, string? by, TransferMode mode) =>
        Assert.Equal(mode, TransferModes.Of(new IPEndPoint(IPAddress.Parse(address), 7102), by));

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        await using var first = DataPlaneListener.Start(new IPEndPoint(IPAddress.Loopback, 0), TransferOptions.Default);

        var failure = Assert.Throws<IOException>(() => DataPlaneListener.Start(first.EndPoint, TransferOptions.Default));

        Assert.Contains(first.EndPoint.ToString(), failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Strangers_are_dropped_with_a_reason_and_disturb_no_session()
    {
        await using var session = await LoopbackSession.StartAsync(devices: 1);
        session.Source.FillRandom(1);
        var to = session.Listener.EndPoint;
        var good = new ChannelHello(
            DataPlaneWire.Version, 1, 3, session.Token, new SessionShape((ulong)session.Source.Layout.PageCount, 1), Link: 1);

        using (var http = await RawPeer.ConnectAsync(to))
        {
            await http.SendAsync(Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: data\r\n\r\n"));
            Assert.Empty(await RawPeer.ReceiveToEndAsync(http));
        }
        using (var scan = await RawPeer.ConnectAsync(to)) scan.Close();
        await AssertRefusedAsync(to, good with { Token = default }, ChannelStatus.UnknownSession);
        await AssertRefusedAsync(to, good with { Version = 7 }, ChannelStatus.WrongVersion);
        await AssertRefusedAsync(to, good, ChannelStatus.WrongChannel); // a duplicate
        await AssertRefusedAsync(to, good with { Link = 7 }, ChannelStatus.WrongChannel); // of a link that is no more
        await AssertRefusedAsync(to, good with { Channels = 4, Channel = 3 }, ChannelStatus.WrongChannel);
        await AssertRefusedAsync(to, good with { Shape = new SessionShape(1, 1) }, ChannelStatus.WrongShape);
        await session.SendAllAsync();

        Assert.Null(session.Receiver.Failure);
        while (session.Dropped.Count < 8) await Task.Yield();
        Assert.Equal(
            [DropReason.NotOurProtocol, DropReason.Ended, DropReason.UnknownSession, DropReason.WrongVersion,
                DropReason.WrongChannel, DropReason.WrongChannel, DropReason.WrongChannel, DropReason.WrongShape],
            session.Dropped.Select(dropped => dropped.Reason).Order());
    }

    [Fact]
    public async Task A_connection_that_says_nothing_is_dropped_when_its_time_is_up()
    {
        var dropped = new TaskCompletionSource<DroppedConnection>(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var listener = DataPlaneListener.Start(
            new IPEndPoint(IPAddress.Loopback, 0),
            TransferOptions.Default with { HandshakeTimeout = TimeSpan.FromMilliseconds(50) }, dropped.SetResult);
        using var silent = await RawPeer.ConnectAsync(listener.EndPoint);

        Assert.Equal(DropReason.TimedOut, (await dropped.Task.WaitAsync(LoopbackSession.Hang)).Reason);
        Assert.Empty(await RawPeer.ReceiveToEndAsync(silent));
    }

    [Fact]
    public async Task Half_open_connections_are_bounded_and_the_port_goes_on()
    {
        var reasons = new System.Collections.Concurrent.ConcurrentQueue<DropReason>();
        await using var listener = DataPlaneListener.Start(
            new IPEndPoint(IPAddress.Loopback, 0), TransferOptions.Default, dropped => reasons.Enqueue(dropped.Reason));
        var silent = new List<System.Net.Sockets.Socket>();
        for (int i = 0; i < DataPlaneListener.MaxOpening + 1; i++) silent.Add(await RawPeer.ConnectAsync(listener.EndPoint));
        while (reasons.IsEmpty) await Task.Yield();
        Assert.Equal([DropReason.TooManyOpening], reasons);
        foreach (var socket in silent) socket.Dispose();
        while (reasons.Count <= DataPlaneListener.MaxOpening) await Task.Yield();

        using var ram = new TestRam(1);
        await using var receiver = listener.Open(default, TransferMode.Plain, ram.Mapped, new MemorySink(), 0);
        await using var sender = await TransferSender.ConnectAsync(
            listener.EndPoint, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default, None);
        Assert.Null(sender.Failure);
    }

    [Fact]
    public async Task The_source_hears_why_it_was_refused()
    {
        await using var listener = DataPlaneListener.Start(new IPEndPoint(IPAddress.Loopback, 0), TransferOptions.Default);
        using var ram = new TestRam(1);

        var refused = await Assert.ThrowsAsync<TransferFailedException>(
            () => TransferSender.ConnectAsync(listener.EndPoint, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default, None));

        Assert.Equal(TransferFailureReason.SessionUnknown, refused.Reason);
        Assert.Contains("knows no such session", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_port_where_nobody_listens_or_nobody_answers_is_named()
    {
        using var ram = new TestRam(1);
        var options = TransferOptions.Default with { HandshakeTimeout = TimeSpan.FromMilliseconds(100) };
        using var mute = new System.Net.Sockets.Socket(
            System.Net.Sockets.AddressFamily.InterNetwork, System.Net.Sockets.SocketType.Stream,
            System.Net.Sockets.ProtocolType.Tcp);
        mute.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        var endpoint = (IPEndPoint)mute.LocalEndPoint!;

        var lost = await Assert.ThrowsAsync<TransferFailedException>(
            () => TransferSender.ConnectAsync(endpoint, default, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default, None));
        mute.Listen();
        var late = await Assert.ThrowsAsync<TransferFailedException>(
            () => TransferSender.ConnectAsync(endpoint, default, TransferMode.Plain, ram.Mapped, 0, options, None));

        Assert.Equal(TransferFailureReason.ConnectionLost, lost.Reason);
        Assert.Equal(TransferFailureReason.HandshakeTimedOut, late.Reason);
        Assert.Contains(endpoint.ToString(), late.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_sessions_share_the_port_and_a_failure_of_one_leaves_the_other_alone()
    {
        await using var session = await LoopbackSession.StartAsync();
        session.Source.FillRandom(1);
        using var ram = new TestRam(1);
        var token = new SessionToken(Enumerable.Repeat((byte)9, 32).ToArray());
        await using var other = session.Listener.Open(token, TransferMode.Plain, ram.Mapped, new MemorySink(), 0);
        Assert.Throws<ArgumentException>(() => session.Listener.Open(token, TransferMode.Plain, ram.Mapped, new MemorySink(), 0));
        var sender = await TransferSender.ConnectAsync(
            session.Listener.EndPoint, token, TransferMode.Plain, ram.Mapped, 0, TransferOptions.Default, None);
        await sender.DisposeAsync();
        await FailureTests.FailsAsync(other.Completion);

        await session.SendAllAsync();
        await session.FinishAsync();
    }

    private static async Task AssertRefusedAsync(IPEndPoint to, ChannelHello hello, ChannelStatus expected)
    {
        var (socket, status) = await RawPeer.OpenAsync(to, hello);
        using (socket)
        {
            Assert.Equal(expected, status);
            Assert.Empty(await RawPeer.ReceiveToEndAsync(socket));
        }
    }
}
