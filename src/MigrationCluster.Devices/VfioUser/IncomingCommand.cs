using System.Buffers;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>A command of the peer with its body and descriptors; whoever handles it disposes it.</summary>
internal sealed class IncomingCommand(VfioUserHeader header, byte[] buffer, int length, SafeFileHandle[] files) : IDisposable
{
    private byte[]? _buffer = buffer;

    public VfioUserHeader Header => header;

    /// <summary>Whether the body was longer than this side takes; it has been read away.</summary>
    public bool TooLong => length < header.BodyBytes;

    public ReadOnlyMemory<byte> Body => _buffer.AsMemory(0, length);

    /// <summary>Descriptors that came with it. Null where a handler took one over.</summary>
    public SafeFileHandle?[] Files { get; } = files;

    public void Dispose()
    {
        foreach (var file in Files) file?.Dispose();
        if (_buffer is { Length: > 0 }) ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = null;
    }
}
