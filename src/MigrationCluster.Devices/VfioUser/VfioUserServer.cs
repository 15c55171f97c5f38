using System.Net.Sockets;
using MigrationCluster.Devices.Native;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// Serves a device on a UNIX socket: any <see cref="IMigratableDevice"/> as plain vfio-user, an
/// <see cref="IMigrationEndpoint"/> or <see cref="IMachineEndpoint"/> with our extension as well
/// (docs/vfio-user-extension.md).
/// </summary>
/// <remarks>
/// A plain client has the device for itself and the next one waits for its turn; clients with sessions may be many. A
/// client that leaves takes its DMA windows and interrupts along where the device's state allows; the migration
/// state stays. A hostile or broken client costs only its own connection. <see cref="IMappableRegions"/> makes regions mappable.
/// The device belongs to the caller.
/// </remarks>
public sealed class VfioUserServer : IAsyncDisposable
{
    private const int MaxConnections = 64;
    private static readonly TimeSpan DrainLimit = TimeSpan.FromSeconds(5);

    private readonly Socket _listener;
    private readonly ServedDevice _served;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly HashSet<ServerConnection> _connections = [];
    private readonly Task _accepting;
    private bool _disposed;

    private VfioUserServer(string path, Socket listener, ServedDevice served)
    {
        SocketPath = path;
        _listener = listener;
        _served = served;
        _accepting = Task.Run(AcceptAsync);
    }

    public string SocketPath { get; }

    /// <summary>Clients connected at this moment.</summary>
    public int ConnectionCount
    {
        get
        {
            lock (_lock) return _connections.Count;
        }
    }

    /// <summary>Listens; clients are served from here on. A socket file that nobody listens on any more is replaced.</summary>
    /// <param name="onFault">told what the device threw that no device should; the client got EIO.</param>
    /// <exception cref="ArgumentException">the path is too long for a UNIX socket.</exception>
    /// <exception cref="IOException">another server listens there, or the socket cannot be made.</exception>
    /// <param name="extension">false: plain vfio-user only, as a server speaks it that somebody else wrote.</param>
    public static VfioUserServer Start(
        string path, IMigratableDevice device, Action<Exception>? onFault = null, bool extension = true)
    {
        UnixSocketPath.Check(path);
        RemoveStale(path);
        var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(new UnixDomainSocketEndPoint(path));
            if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(16);
        }
        catch (SocketException e)
        {
            listener.Dispose();
            throw new IOException($"cannot listen on {path}: {e.Message}", e);
        }
        return new VfioUserServer(path, listener, new ServedDevice(device, extension, onFault));
    }

    /// <summary>Stops listening, removes the socket file and ends the connections. Waits a moment for commands in progress;
    /// one that a device never ends is left behind.</summary>
    public async ValueTask DisposeAsync()
    {
        ServerConnection[] open;
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            open = [.. _connections];
        }
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        File.Delete(SocketPath);
        await Task.WhenAny(Task.WhenAll(open.Select(connection => connection.DisposeAsync().AsTask())), Task.Delay(DrainLimit));
        _stop.Dispose();
        foreach (var slots in _served.Interrupts.Values)
            foreach (var file in slots) file?.Dispose();
    }

    private static void RemoveStale(string path)
    {
        if (!File.Exists(path)) return;
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionRefused)
        {
            File.Delete(path);
            return;
        }
        catch (SocketException e)
        {
            throw new IOException($"{path} exists and cannot be replaced: {e.Message}", e);
        }
        throw new IOException($"{path} is in use: another server listens there");
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                Admit(await _listener.AcceptAsync(_stop.Token));
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // Out of descriptors, or the client left first: the next one may have more luck.
                await Task.Delay(TimeSpan.FromMilliseconds(50), CancellationToken.None);
            }
        }
    }

    private void Admit(Socket socket)
    {
        ServerConnection connection;
        lock (_lock)
        {
            if (_disposed || _connections.Count >= MaxConnections)
            {
                socket.Dispose();
                return;
            }
            connection = new ServerConnection(socket, SocketPath, _served);
            _connections.Add(connection);
        }
        _ = ServeAsync(connection);
    }

    private async Task ServeAsync(ServerConnection connection)
    {
        await connection.RunAsync();
        lock (_lock) _connections.Remove(connection);
    }
}
