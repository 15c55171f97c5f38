using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// Memory that both sides of a connection map, so that a state stream's bytes do not pass the socket: two copies by the kernel
/// and a wake-up for every part that its buffer holds. A client that is given bytes in such a buffer shares it with its server
/// and says only where in it they lie. A server that hands them on as they are shares the same memory with the next, so
/// a device and a daemon meet in it, with a guest process between them:
///
/// <code>
///   daemon, creates it --descriptor--> mc-guest, maps it --descriptor--> device server, maps it
///   READ_STREAM size, where ---------> READ_DATA size, where ----------> fills it there
///                      &lt;-- head ----------------------------- head --
/// </code>
/// </summary>
/// <remarks>The bytes that a command names are the server's until its reply, else the client's. Sealed against shrinking, so that nobody who
/// maps it meets its end. It goes when nothing refers to it any more: what is on its way to a device may outlast whoever sent it.</remarks>
public sealed unsafe class StreamBuffer : MemoryManager<byte>
{
    public const int MaxBytes = 16 << 20;

    private readonly MappedMemory _mapping;

    private StreamBuffer(SafeFileHandle file, int sizeBytes)
    {
        File = file;
        _mapping = MappedMemory.Map(file, 0, sizeBytes);
        GC.AddMemoryPressure(sizeBytes);
    }

#pragma warning disable CA2015 // A span must not outlive this object: whoever takes one holds the memory, and so this, in a field until it is done.
    ~StreamBuffer() => Dispose(false);
#pragma warning restore CA2015

    internal SafeFileHandle File { get; }

    /// <summary>Its pages come into being as they are written.</summary>
    /// <exception cref="IOException">the system refuses.</exception>
    public static StreamBuffer Create(int sizeBytes)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(sizeBytes, MaxBytes);
        return Open(Memfd.Create("state-stream", sizeBytes, keepsSize: true), sizeBytes);
    }

    /// <summary>For a server; owns the file from here on.</summary>
    /// <exception cref="DeviceRefusedException">EINVAL: a file that is empty, too long, or could become shorter under the mapping.</exception>
    internal static StreamBuffer Map(SafeFileHandle file)
    {
        long size = RandomAccess.GetLength(file);
        if (size is > 0 and <= MaxBytes && Memfd.KeepsSize(file)) return Open(file, (int)size);
        file.Dispose();
        throw new DeviceRefusedException(
            $"a stream buffer of {size} bytes: it has up to {MaxBytes}, and is sealed against shrinking", Errno.EINVAL);
    }

    /// <summary>Where in which buffer some memory lies.</summary>
    internal static bool TryFind(ReadOnlyMemory<byte> memory, out StreamBuffer? buffer, out int place) =>
        MemoryMarshal.TryGetMemoryManager(memory, out buffer, out place, out _);

    private static StreamBuffer Open(SafeFileHandle file, int sizeBytes)
    {
        try
        {
            return new StreamBuffer(file, sizeBytes);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    public override Span<byte> GetSpan() => _mapping.Span(0, (int)_mapping.Length);

    // SAFETY: the mapping does not move, and what is pinned holds this object, whose finalizer is what unmaps it.
    public override MemoryHandle Pin(int elementIndex = 0) => new(_mapping.Pointer + elementIndex, default, this);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        if (_mapping is null) return; // a constructor that failed
        _mapping.Dispose();
        File.Dispose();
        GC.RemoveMemoryPressure(_mapping.Length);
    }
}
