using System.Net;
using System.Net.Sockets;
using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>A peer that says whatever a test wants: a bare socket that can play source or destination.</summary>
internal static class RawPeer
{
    internal static async Task<Socket> ConnectAsync(IPEndPoint to)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(to);
        return socket;
    }

    /// <summary>Connects as a channel of a session and is welcomed, or not.</summary>
    internal static async Task<(Socket Socket, ChannelStatus Status)> OpenAsync(IPEndPoint to, ChannelHello hello)
    {
        var socket = await ConnectAsync(to);
        var bytes = new byte[ChannelHello.SizeBytes];
        hello.Write(bytes);
        await socket.SendAsync(bytes);
        var answer = new byte[ChannelWelcome.SizeBytes];
        await ReceiveAsync(socket, answer);
        Assert.Null(ChannelWelcome.Read(answer, out var welcome));
        return (socket, welcome.Status);
    }

    internal static async Task ReceiveAsync(Socket socket, Memory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            int count = await socket.ReceiveAsync(bytes).AsTask().WaitAsync(LoopbackSession.Hang);
            Assert.NotEqual(0, count);
            bytes = bytes[count..];
        }
    }

    /// <summary>Everything until the peer ends the connection.</summary>
    internal static async Task<byte[]> ReceiveToEndAsync(Socket socket)
    {
        var all = new MemoryStream();
        var buffer = new byte[4096];
        try
        {
            for (int count; (count = await socket.ReceiveAsync(buffer).WaitAsync(LoopbackSession.Hang)) > 0;)
                all.Write(buffer, 0, count);
        }
        catch (SocketException)
        {
            // Closed with our bytes unread: an end like any other.
        }
        return all.ToArray();
    }
}
