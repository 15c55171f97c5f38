using System.Net.Sockets;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>What every data connection has in common.</summary>
/// <remarks>
/// Its socket blocks, and each direction has a thread of its own. A socket that is awaited once is watched by the runtime's event loop for good: every
/// arrival then wakes that loop and a pool thread before the bytes are read, which at full speed cost a fifth of all the CPU a transfer takes.
/// So no method of these sockets that ends in Async may be called.
/// </remarks>
internal static class SocketSetup
{
    private const int IpProtocolTcp = 6, TcpUserTimeout = 18, UserTimeoutMs = 10_000; // tcp(7)

    internal static void Apply(Socket socket)
    {
        socket.NoDelay = true;
        // What is sent and not received within 10 s, by a network that drops everything, ends the connection: another one carries on
        // as soon as there is a way, and does not wait for this one's next retransmission.
        socket.SetRawSocketOption(IpProtocolTcp, TcpUserTimeout, BitConverter.GetBytes(UserTimeoutMs));
        // A peer whose host vanished while the connection idles is noticed as soon: with a user timeout it is that which ends a connection whose
        // probes are not answered, however many there were (tcp(7)). So they begin early enough that a lost one is followed by others.
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 3);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 2);
    }

    internal static void SendAll(Socket socket, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0) data = data[socket.Send(data)..];
    }

    /// <returns>false when the connection ended first.</returns>
    internal static bool ReceiveAll(Socket socket, Span<byte> data)
    {
        while (data.Length > 0)
        {
            int received = socket.Receive(data);
            if (received == 0) return false;
            data = data[received..];
        }
        return true;
    }
}
