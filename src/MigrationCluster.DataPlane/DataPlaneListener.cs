using System.Net;
using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Receiving;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane;

/// <summary>
/// A host's data port: one for all sessions. A connection that does not belong to one of them is dropped, with a reason
/// for the log, and does no harm.
/// </summary>
public sealed class DataPlaneListener : IAsyncDisposable
{
    /// <summary>Connections that may be in their handshake at once; each holds a socket and 64 bytes for at most the
    /// handshake's time limit.</summary>
    public const int MaxOpening = 128;

    private readonly Lock _lock = new();
    private readonly Socket _socket;
    private readonly TransferOptions _options;
    private readonly Action<DroppedConnection>? _dropped;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<SessionToken, TransferReceiver> _sessions = [];
    private readonly Dictionary<Socket, Task> _opening = [];
    private readonly Task _accepting;

    private DataPlaneListener(Socket socket, TransferOptions options, Action<DroppedConnection>? dropped)
    {
        (_socket, _options, _dropped) = (socket, options, dropped);
        EndPoint = (IPEndPoint)socket.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens; the port is the real one when 0 was asked for.</summary>
    public IPEndPoint EndPoint { get; }

    /// <param name="endpoint">a loopback address; port 0 takes any free one.</param>
    /// <param name="dropped">hears of dropped connections; must not throw.</param>
    /// <exception cref="ArgumentException">the address is not a loopback address.</exception>
    /// <exception cref="IOException">the port is in use, or cannot be listened on.</exception>
    public static DataPlaneListener Start(IPEndPoint endpoint, TransferOptions options, Action<DroppedConnection>? dropped = null)
    {
        SocketSetup.RequireLoopback(endpoint);
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(endpoint);
            socket.Listen(MaxOpening);
            return new DataPlaneListener(socket, options, dropped);
        }
        catch (SocketException exception)
        {
            socket.Dispose();
            throw new IOException($"data port {endpoint}: {exception.Message}", exception);
        }
    }

    /// <summary>Opens a session; connections that know its token become its channels until it is disposed.</summary>
    /// <param name="deviceCount">device streams, the machine's included; at most 64.</param>
    /// <exception cref="ArgumentException">a session with this token is open.</exception>
    public TransferReceiver Open(SessionToken token, MappedGuestRam ram, IDeviceStateSink sink, int deviceCount)
    {
        var receiver = new TransferReceiver(ram, sink, deviceCount, _options, _ => Forget(token));
        lock (_lock) _sessions.Add(token, receiver);
        return receiver;
    }

    /// <summary>Stops listening, and ends every session that is still open.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _socket.Dispose();
        await _accepting;
        Task[] opening;
        TransferReceiver[] sessions;
        lock (_lock) (opening, sessions) = ([.. _opening.Values], [.. _sessions.Values]);
        await Task.WhenAll(opening);
        foreach (var session in sessions) await session.DisposeAsync();
        _stopping.Dispose();
    }

    private void Forget(SessionToken token)
    {
        lock (_lock) _sessions.Remove(token);
    }

    private async Task AcceptAsync()
    {
        while (!_stopping.IsCancellationRequested)
        {
            Socket socket;
            try
            {
                socket = await _socket.AcceptAsync(_stopping.Token);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // One connection that ended before it was accepted, or no descriptor left: the port goes on.
                await Task.Delay(TimeSpan.FromMilliseconds(10), CancellationToken.None);
                continue;
            }
            Begin(socket);
        }
    }

    private void Begin(Socket socket)
    {
        lock (_lock)
        {
            if (_opening.Count < MaxOpening)
            {
                _opening.Add(socket, OpenAsync(socket)); // which yields first, so that it takes itself out afterwards
                return;
            }
        }
        Drop(socket, new Refusal(DropReason.TooManyOpening, $"{MaxOpening} connections have not said hello yet"));
    }

    /// <summary>Never faults.</summary>
    private async Task OpenAsync(Socket socket)
    {
        await Task.Yield();
        var refusal = await TryOpenChannelAsync(socket);
        lock (_lock) _opening.Remove(socket);
        if (refusal is not null) Drop(socket, refusal);
    }

    /// <returns>null when the connection became a channel.</returns>
    private async Task<Refusal?> TryOpenChannelAsync(Socket socket)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        limit.CancelAfter(_options.HandshakeTimeout);
        try
        {
            SocketSetup.Apply(socket);
            var bytes = new byte[ChannelHello.SizeBytes];
            return await ReceiveHelloAsync(socket, bytes, limit.Token) ?? await AnswerAsync(socket, bytes, limit.Token);
        }
        catch (OperationCanceledException)
        {
            return new Refusal(DropReason.TimedOut, $"no hello within {_options.HandshakeTimeout.TotalSeconds:0.#} s");
        }
        catch (Exception exception)
        {
            return new Refusal(DropReason.Ended, exception.Message);
        }
    }

    /// <summary>Garbage is dropped at its first byte, not when 64 have come.</summary>
    private static async Task<Refusal?> ReceiveHelloAsync(Socket socket, byte[] bytes, CancellationToken cancellationToken)
    {
        for (int received = 0; received < bytes.Length;)
        {
            int count = await socket.ReceiveAsync(bytes.AsMemory(received), cancellationToken);
            received += count;
            if (count == 0) return new Refusal(DropReason.Ended, $"it ended after {received} bytes");
            if (!ChannelHello.CouldBegin(bytes.AsSpan(0, received)))
                return new Refusal(DropReason.NotOurProtocol, "what arrived is no hello");
        }
        return null;
    }

    private async Task<Refusal?> AnswerAsync(Socket socket, byte[] bytes, CancellationToken cancellationToken)
    {
        if (ChannelHello.Read(bytes, out var hello) is { } wrong) return new Refusal(DropReason.NotOurProtocol, wrong);
        TransferReceiver? session;
        lock (_lock) _sessions.TryGetValue(hello.Token, out session);
        var (status, link, standing) = (ChannelStatus.UnknownSession, (ReceiveLink?)null, (LinkStanding?)null);
        if (hello.Version != DataPlaneWire.Version) status = ChannelStatus.WrongVersion;
        else if (session is not null) (status, link, standing) = await session.AdmitAsync(hello, cancellationToken);
        var answer = bytes.AsMemory(0, ChannelWelcome.SizeBytes);
        new ChannelWelcome(DataPlaneWire.Version, status).Write(answer.Span);
        try
        {
            await SocketSetup.SendAllAsync(socket, answer, cancellationToken);
            if (standing is not null) await SocketSetup.SendAllAsync(socket, standing.ToBytes(), cancellationToken);
        }
        catch (Exception exception) when (link is not null)
        {
            link.Lose(hello.Channel, exception);
            throw;
        }
        if (link is null) return RefusalFor(hello, status);
        link.Start(hello.Channel, socket);
        return null;
    }

    private static Refusal RefusalFor(in ChannelHello hello, ChannelStatus status) => new(
        status switch
        {
            ChannelStatus.WrongVersion => DropReason.WrongVersion,
            ChannelStatus.WrongChannel => DropReason.WrongChannel,
            ChannelStatus.WrongShape => DropReason.WrongShape,
            _ => DropReason.UnknownSession,
        },
        $"version {hello.Version}, channel {hello.Channel} of {hello.Channels}: {status}");

    private void Drop(Socket socket, Refusal refusal)
    {
        EndPoint? remote = null;
        try
        {
            remote = socket.RemoteEndPoint;
        }
        catch (SocketException)
        {
            // It has gone already.
        }
        socket.Dispose();
        _dropped?.Invoke(new DroppedConnection(remote, refusal.Reason, refusal.Message));
    }

    private sealed record Refusal(DropReason Reason, string Message);
}
