using System.Net;
using System.Net.Sockets;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>Stands between a client on loopback and a PostgreSQL on its UNIX socket. Armed, it lets the next COMMIT through and cuts the
/// connection before the server's answer comes back.</summary>
internal sealed class CommitCuttingProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly string _server;
    private int _armed;

    /// <param name="server">path of the server's socket.</param>
    public CommitCuttingProxy(string server)
    {
        _server = server;
        _listener.Start();
        _ = AcceptAsync();
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    /// <summary>Connections that were cut at their COMMIT.</summary>
    public int Cuts { get; private set; }

    public void Arm() => Volatile.Write(ref _armed, 1);

    public void Dispose() => _listener.Dispose();

    private async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await _listener.AcceptSocketAsync());
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var server = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        using (client)
        {
            await server.ConnectAsync(new UnixDomainSocketEndPoint(_server));
            await Task.WhenAny(ForwardAsync(client, server), PumpAsync(server, client));
        }
    }

    private async Task ForwardAsync(Socket client, Socket server)
    {
        byte[] buffer = new byte[64 << 10];
        while (await ReceiveAsync(client, buffer) is > 0 and var count)
        {
            bool cut = buffer.AsSpan(0, count).IndexOf("COMMIT"u8) >= 0 && Interlocked.Exchange(ref _armed, 0) == 1;
            if (cut) client.Dispose();
            await server.SendAsync(buffer.AsMemory(0, count));
            if (!cut) continue;
            Cuts++;
            // The server has committed when it answers; nobody hears it.
            await ReceiveAsync(server, buffer);
            return;
        }
    }

    private static async Task PumpAsync(Socket from, Socket to)
    {
        byte[] buffer = new byte[64 << 10];
        try
        {
            while (await ReceiveAsync(from, buffer) is > 0 and var count) await to.SendAsync(buffer.AsMemory(0, count));
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            // The client was cut off.
        }
    }

    private static async Task<int> ReceiveAsync(Socket socket, byte[] buffer)
    {
        try
        {
            return await socket.ReceiveAsync(buffer);
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException)
        {
            return 0;
        }
    }
}
