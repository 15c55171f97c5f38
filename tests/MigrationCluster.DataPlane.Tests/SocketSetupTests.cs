using System.Net.Sockets;
using MigrationCluster.DataPlane.Flow;

namespace MigrationCluster.DataPlane.Tests;

public sealed class SocketSetupTests
{
    [Fact]
    public void An_idle_connection_survives_a_keep_alive_probe_that_is_lost()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        SocketSetup.Apply(socket);
        int Seconds(SocketOptionName option) => (int)socket.GetSocketOption(SocketOptionLevel.Tcp, option)!;
        var timeout = new byte[sizeof(int)];
        socket.GetRawSocketOption(6, 18, timeout); // TCP_USER_TIMEOUT, in ms: it decides instead of the number of probes, tcp(7)

        int probes = 1 + (BitConverter.ToInt32(timeout) / 1000 - Seconds(SocketOptionName.TcpKeepAliveTime)) / Seconds(SocketOptionName.TcpKeepAliveInterval);

        Assert.True(probes >= 3, $"{probes} probes before the connection is given up");
    }
}
