using System.Buffers.Binary;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

/// <summary>One end of a socket on which a test says every byte itself.</summary>
internal sealed class RawPeer(Socket socket) : IAsyncDisposable
{
    private ushort _lastId = 0x40;

    public static RawPeer Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Connect(new UnixDomainSocketEndPoint(path));
        return new RawPeer(socket);
    }

    public void Send(ReadOnlySpan<byte> bytes, params SafeFileHandle[] files) =>
        Assert.Equal(bytes.Length, DescriptorSocket.TrySend(socket, bytes, default, files));

    public async Task SendAllAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[await socket.SendAsync(bytes, SocketFlags.None)..];
    }

    /// <summary>Sends a command and returns its reply's header and body.</summary>
    public async Task<(VfioUserHeader Header, byte[] Body)> AskAsync(
        VfioUserCommand command, byte[] body, params SafeFileHandle[] files)
    {
        byte[] message = new byte[VfioUserHeader.Size + body.Length];
        ushort id = ++_lastId;
        VfioUserHeader.ForCommand(id, (ushort)command, body.Length).Write(message);
        body.CopyTo(message, VfioUserHeader.Size);
        Send(message, files);
        var reply = await ReceiveAsync();
        Assert.True(reply.Header.IsReply);
        Assert.Equal((id, (ushort)command), (reply.Header.Id, reply.Header.Command));
        return reply;
    }

    public async Task<(VfioUserHeader Header, byte[] Body)> ReceiveAsync()
    {
        byte[] head = new byte[VfioUserHeader.Size];
        await FillAsync(head);
        Assert.True(VfioUserHeader.TryRead(head, out var header));
        byte[] body = new byte[header.BodyBytes];
        await FillAsync(body);
        return (header, body);
    }

    /// <summary>Answers the last command received.</summary>
    public void Reply(VfioUserHeader header, ReadOnlySpan<byte> body)
    {
        byte[] message = new byte[VfioUserHeader.Size + body.Length];
        header.Write(message);
        body.CopyTo(message.AsSpan(VfioUserHeader.Size));
        Send(message);
    }

    /// <summary>Waits until the peer has closed; whatever it still says is ignored.</summary>
    public async Task ExpectClosedAsync()
    {
        byte[] buffer = new byte[256];
        try
        {
            while (await socket.ReceiveAsync(buffer, SocketFlags.None) > 0)
            {
            }
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // Closed with bytes of ours unread.
        }
    }

    public static byte[] Fields(params uint[] fields)
    {
        byte[] body = new byte[fields.Length * 4];
        for (int i = 0; i < fields.Length; i++) BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(i * 4), fields[i]);
        return body;
    }

    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task FillAsync(Memory<byte> destination)
    {
        while (destination.Length > 0)
        {
            int received = await socket.ReceiveAsync(destination, SocketFlags.None);
            Assert.NotEqual(0, received);
            destination = destination[received..];
        }
    }
}
