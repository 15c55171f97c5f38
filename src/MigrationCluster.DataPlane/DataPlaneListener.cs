using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.DataPlane.Receiving;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane;

/// <summary>
/// A host's data port: one for all sessions. A connection that does not belong to one of them is dropped, with a reason
/// for the log, and does no harm.
/// </summary>
public sealed class DataPlaneListener : IAsyncDisposable
{
    /// <summary>Connections that may be in their handshake at once; each holds a socket and a thread for at most the
    /// handshake's time limit.</summary>
    public const int MaxOpening = 128;

    // All that is sent this way is small: a source that does not read it for so long is as good as gone.
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(2);

    private readonly Lock _lock = new();
    private readonly Socket _socket;
    private readonly TransferOptions _options;
    private readonly Action<DroppedConnection>? _dropped;
    private readonly CancellationTokenSource _stopping = new();
    private readonly Dictionary<SessionId, Session> _sessions = [];
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

    /// <param name="endpoint">port 0 takes any free one.</param>
    /// <param name="dropped">hears of dropped connections; must not throw.</param>
    /// <exception cref="IOException">the port is in use, or cannot be listened on.</exception>
    public static DataPlaneListener Start(IPEndPoint endpoint, TransferOptions options, Action<DroppedConnection>? dropped = null)
    {
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

    /// <summary>Opens a session; connections that know its token, and come in its mode, become its channels until it is disposed.</summary>
    /// <param name="deviceCount">device streams, the machine's included; at most 64.</param>
    /// <param name="complete">a manifest was agreed upon in an earlier life of the daemon: pages are refused, and the verdict is given again.</param>
    /// <exception cref="ArgumentException">a session with this token is open.</exception>
    public TransferReceiver Open(
        SessionToken token, TransferMode mode, MappedGuestRam ram, IDeviceStateSink sink, int deviceCount, bool complete = false)
    {
        var id = SessionId.Of(token);
        var receiver = new TransferReceiver(ram, sink, deviceCount, _options, complete, _ => Forget(id));
        lock (_lock) _sessions.Add(id, new Session(token, mode, receiver));
        return receiver;
    }

    /// <summary>Stops listening, and ends every session that is still open.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        _socket.Dispose();
        await _accepting;
        Task[] opening;
        Session[] sessions;
        lock (_lock) (opening, sessions) = ([.. _opening.Values], [.. _sessions.Values]);
        await Task.WhenAll(opening);
        foreach (var session in sessions) await session.Receiver.DisposeAsync();
        _stopping.Dispose();
    }

    private void Forget(SessionId id)
    {
        lock (_lock) _sessions.Remove(id);
    }

    private Session? Find(SessionId id)
    {
        lock (_lock) return _sessions.GetValueOrDefault(id);
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
                // It takes itself out under this lock, afterwards.
                _opening.Add(socket, Task.Factory.StartNew(
                    () => Open(socket), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default));
                return;
            }
        }
        Drop(socket, RemoteOf(socket), new Refusal(DropReason.TooManyOpening, $"{MaxOpening} connections have not said hello yet"));
    }

    /// <summary>Never throws.</summary>
    private void Open(Socket socket)
    {
        var remote = RemoteOf(socket);
        var refusal = TryOpenChannel(socket);
        lock (_lock) _opening.Remove(socket);
        if (refusal is not null) Drop(socket, remote, refusal);
    }

    /// <returns>null when the connection became a channel.</returns>
    private Refusal? TryOpenChannel(Socket socket)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        limit.CancelAfter(_options.HandshakeTimeout);
        // It wakes only this thread: the connection is closed, or not, by what this returns.
        using var waking = limit.Token.UnsafeRegister(
            static connection => ((Connection)connection!).ShutDown(SocketShutdown.Both), new Connection(socket));
        try
        {
            SocketSetup.Apply(socket);
            socket.SendTimeout = (int)SendTimeout.TotalMilliseconds;
            var bytes = new byte[ChannelHello.SizeBytes];
            var refusal = ReceiveFirst(socket, bytes)
                ?? (SealedPreface.CouldBegin(bytes) ? Unseal(socket, bytes, limit.Token) : Answer(new Connection(socket), bytes, null, limit.Token));
            return refusal is not null && limit.IsCancellationRequested ? TimedOut() : refusal;
        }
        catch (Exception) when (limit.IsCancellationRequested)
        {
            return TimedOut();
        }
        catch (TransferFailedException broken) when (broken.Reason == TransferFailureReason.SealBroken)
        {
            return new Refusal(DropReason.SealBroken, broken.Message);
        }
        catch (Exception exception)
        {
            return new Refusal(DropReason.Ended, exception.Message);
        }
    }

    private Refusal TimedOut() => new(DropReason.TimedOut, $"no hello within {_options.HandshakeTimeout.TotalSeconds:0.#} s");

    /// <summary>A hello or a preface, which are equally long. Garbage is dropped at its first byte, not when 64 have come.</summary>
    private static Refusal? ReceiveFirst(Socket socket, byte[] bytes)
    {
        for (int received = 0; received < bytes.Length;)
        {
            int count = socket.Receive(bytes.AsSpan(received));
            received += count;
            if (count == 0) return new Refusal(DropReason.Ended, $"it ended after {received} bytes");
            var first = bytes.AsSpan(0, received);
            if (!ChannelHello.CouldBegin(first) && !SealedPreface.CouldBegin(first))
                return new Refusal(DropReason.NotOurProtocol, "what arrived is no hello");
        }
        return null;
    }

    /// <summary>Answers a preface. Nobody has proven anything by it: the session hears of the connection only when its hello has opened.</summary>
    private Refusal? Unseal(Socket socket, byte[] theirs, CancellationToken cancellationToken)
    {
        if (SealedPreface.Read(theirs, out var preface) is { } wrong) return new Refusal(DropReason.NotOurProtocol, wrong);
        var session = Find(preface.Session);
        var status = preface.Version != DataPlaneWire.Version ? ChannelStatus.WrongVersion
            : session is null ? ChannelStatus.UnknownSession
            : session.Mode != TransferMode.Sealed ? ChannelStatus.WrongMode
            : ChannelStatus.Accepted;
        byte[] ours = new SealedPreface(
            DataPlaneWire.Version, preface.Channel, status, preface.Session,
            RandomNumberGenerator.GetBytes(SealedPreface.NonceBytes)).ToBytes();
        SocketSetup.SendAll(socket, ours);
        if (status != ChannelStatus.Accepted) return RefusalFor(status, $"version {preface.Version}, channel {preface.Channel}");
        var connection = Connection.OfDestination(socket, session!.Token, theirs, ours);
        bool taken = false;
        try
        {
            var hello = new byte[ChannelHello.SizeBytes];
            if (!connection.Receive(hello))
                return new Refusal(DropReason.Ended, "it ended after its preface");
            var refusal = Answer(connection, hello, session, cancellationToken);
            taken = refusal is null;
            return refusal;
        }
        finally
        {
            if (!taken) connection.Dispose();
        }
    }

    /// <param name="unsealed">the session whose secret opened the hello; null: in plain mode, where the hello says it.</param>
    private Refusal? Answer(
        Connection connection, byte[] bytes, Session? unsealed, CancellationToken cancellationToken)
    {
        if (ChannelHello.Read(bytes, out var hello) is { } wrong) return new Refusal(DropReason.NotOurProtocol, wrong);
        var session = unsealed ?? Find(SessionId.Of(hello.Token));
        var (status, link, standing) = (ChannelStatus.UnknownSession, (ReceiveLink?)null, (LinkStanding?)null);
        if (hello.Version != DataPlaneWire.Version) status = ChannelStatus.WrongVersion;
        else if (unsealed is null && session is { Mode: not TransferMode.Plain }) status = ChannelStatus.WrongMode;
        else if (session is not null) (status, link, standing) = session.Receiver.AdmitAsync(hello, cancellationToken).GetAwaiter().GetResult();
        var answer = new byte[ChannelWelcome.SizeBytes];
        new ChannelWelcome(DataPlaneWire.Version, status).Write(answer);
        try
        {
            connection.Send(answer);
            if (standing is not null) connection.Send(standing.ToBytes());
        }
        catch (Exception exception) when (link is not null)
        {
            link.Lose(hello.Channel, exception);
            throw;
        }
        if (link is null) return RefusalFor(status, $"version {hello.Version}, channel {hello.Channel} of {hello.Channels}");
        link.Start(hello.Channel, connection);
        return null;
    }

    private static Refusal RefusalFor(ChannelStatus status, string connection) => new(
        status switch
        {
            ChannelStatus.WrongVersion => DropReason.WrongVersion,
            ChannelStatus.WrongChannel => DropReason.WrongChannel,
            ChannelStatus.WrongShape => DropReason.WrongShape,
            ChannelStatus.WrongMode => DropReason.WrongMode,
            _ => DropReason.UnknownSession,
        },
        $"{connection}: {status}");

    private static EndPoint? RemoteOf(Socket socket)
    {
        try
        {
            return socket.RemoteEndPoint;
        }
        catch (SocketException)
        {
            return null; // it has gone already
        }
    }

    private void Drop(Socket socket, EndPoint? remote, Refusal refusal)
    {
        socket.Dispose();
        _dropped?.Invoke(new DroppedConnection(remote, refusal.Reason, refusal.Message));
    }

    private sealed record Refusal(DropReason Reason, string Message);

    private sealed record Session(SessionToken Token, TransferMode Mode, TransferReceiver Receiver);
}
