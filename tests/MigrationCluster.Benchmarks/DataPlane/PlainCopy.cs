using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// What everything is measured against: the same memory over as many connections with .NET's sockets alone. Each
/// connection sends its share straight from the source's mapping in chunks of 256 KiB and receives it straight into the
/// destination's, with one CRC-32C a chunk on both sides, compared at the end. No copy, no window, no acknowledgement.
/// </summary>
internal sealed class PlainCopy : IDisposable
{
    private const int ChunkBytes = 256 * 1024;

    private readonly (Socket Near, Socket Far)[] _connections;

    private PlainCopy((Socket, Socket)[] connections) => _connections = connections;

    internal static async Task<PlainCopy> ConnectAsync(int connections, CancellationToken cancellationToken)
    {
        using var listening = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listening.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listening.Listen();
        var pairs = new (Socket, Socket)[connections];
        for (int i = 0; i < connections; i++)
        {
            var near = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await near.ConnectAsync(listening.LocalEndPoint!, cancellationToken);
            pairs[i] = (near, await listening.AcceptAsync(cancellationToken));
            pairs[i].Item2.NoDelay = true;
        }
        return new PlainCopy(pairs);
    }

    internal async Task CopyAsync(ReadOnlyMemory<byte> source, Memory<byte> destination, CancellationToken cancellationToken)
    {
        int share = source.Length / _connections.Length / ChunkBytes * ChunkBytes;
        var running = new List<Task>();
        for (int i = 0; i < _connections.Length; i++)
        {
            var (near, far) = _connections[i];
            int start = i * share, length = i == _connections.Length - 1 ? source.Length - start : share;
            running.Add(Task.Run(() => SendAsync(near, source.Slice(start, length), cancellationToken), cancellationToken));
            running.Add(Task.Run(() => ReceiveAsync(far, destination.Slice(start, length), cancellationToken), cancellationToken));
        }
        await Task.WhenAll(running);
    }

    public void Dispose()
    {
        foreach (var (near, far) in _connections)
        {
            near.Dispose();
            far.Dispose();
        }
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> share, CancellationToken cancellationToken)
    {
        uint checks = 0;
        for (int at = 0; at < share.Length; at += ChunkBytes)
        {
            var chunk = share.Slice(at, Math.Min(ChunkBytes, share.Length - at));
            checks = Fold(checks, Crc32C.Compute(chunk.Span));
            while (chunk.Length > 0) chunk = chunk[await socket.SendAsync(chunk, cancellationToken)..];
        }
        var end = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(end, checks);
        await socket.SendAsync(end, cancellationToken);
    }

    private static async Task ReceiveAsync(Socket socket, Memory<byte> share, CancellationToken cancellationToken)
    {
        uint checks = 0;
        for (int at = 0; at < share.Length; at += ChunkBytes)
        {
            var chunk = share.Slice(at, Math.Min(ChunkBytes, share.Length - at));
            await FillAsync(socket, chunk, cancellationToken);
            checks = Fold(checks, Crc32C.Compute(chunk.Span));
        }
        var end = new byte[sizeof(uint)];
        await FillAsync(socket, end, cancellationToken);
        if (BinaryPrimitives.ReadUInt32LittleEndian(end) != checks) throw new IOException("the plain copy's check failed");
    }

    private static async ValueTask FillAsync(Socket socket, Memory<byte> memory, CancellationToken cancellationToken)
    {
        while (memory.Length > 0)
        {
            int received = await socket.ReceiveAsync(memory, cancellationToken);
            if (received == 0) throw new IOException("the plain copy's connection ended");
            memory = memory[received..];
        }
    }

    private static uint Fold(uint checks, uint check) =>
        Crc32C.Append(checks, MemoryMarshal.AsBytes(new ReadOnlySpan<uint>(ref check)));
}
