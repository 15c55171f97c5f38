using System.Runtime.InteropServices;
using MigrationCluster.Devices;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>
/// A device's state stream as it was read from the device, kept until the other side has it, so that a daemon that
/// comes back can read on where its journal stands.
///
/// <code>
///        released        Acknowledged        End = what was read from the device
///   0 ---------------------|==================|-------->
///                            retained, at most WindowBytes
/// </code>
/// </summary>
/// <remarks>The ring lies outside the managed heap and lives from one save session to the next. Not safe for concurrent use.</remarks>
internal sealed unsafe class RetainedStream : IDisposable
{
    public const int WindowBytes = 16 << 20;

    private byte* _ring;

    /// <summary>Bytes before this are gone.</summary>
    public ulong Acknowledged { get; private set; }

    /// <summary>The device has given this many bytes.</summary>
    public ulong End { get; private set; }

    public uint Crc { get; private set; }

    /// <summary>Bytes that may still be read from the device before something is acknowledged.</summary>
    public int Room => WindowBytes - (int)(End - Acknowledged);

    /// <summary>A save session begins: the stream starts at 0 again.</summary>
    public void Restart()
    {
        Acknowledged = End = 0;
        Crc = 0;
        // SAFETY: pages of it come into being only as they are written; freed in Dispose.
        if (_ring == null) _ring = (byte*)NativeMemory.Alloc(WindowBytes);
    }

    /// <summary>Takes over what the device just gave, into the ring and the digest.</summary>
    public void Append(ReadOnlySpan<byte> data)
    {
        if (data.Length > Room) throw new InvalidOperationException("more than there is room for");
        int at = (int)(End % WindowBytes);
        int head = Math.Min(data.Length, WindowBytes - at);
        // SAFETY: at and the lengths stay inside the ring of WindowBytes; Restart came before.
        Crc = Crc32C.AppendCopy(Crc, data[..head], new Span<byte>(_ring + at, head));
        Crc = Crc32C.AppendCopy(Crc, data[head..], new Span<byte>(_ring, data.Length - head));
        End += (ulong)data.Length;
    }

    /// <summary>Reads retained bytes again.</summary>
    /// <exception cref="DeviceRefusedException">EINVAL: released already, or beyond the end.</exception>
    public int Read(ulong offset, Span<byte> destination)
    {
        if (offset < Acknowledged)
            throw new DeviceRefusedException($"stream bytes before {Acknowledged} are released; asked for {offset}", Errno.EINVAL);
        if (offset > End)
            throw new DeviceRefusedException($"the stream has {End} bytes so far; asked for {offset}", Errno.EINVAL);
        int count = (int)Math.Min((ulong)destination.Length, End - offset);
        int at = (int)(offset % WindowBytes);
        int head = Math.Min(count, WindowBytes - at);
        // SAFETY: as in Append.
        new ReadOnlySpan<byte>(_ring + at, head).CopyTo(destination);
        new ReadOnlySpan<byte>(_ring, count - head).CopyTo(destination[head..]);
        return count;
    }

    /// <exception cref="DeviceRefusedException">EINVAL: beyond the end.</exception>
    public void Acknowledge(ulong offset)
    {
        if (offset > End)
            throw new DeviceRefusedException($"the stream has {End} bytes so far; {offset} cannot be acknowledged", Errno.EINVAL);
        Acknowledged = Math.Max(Acknowledged, offset);
    }

    public void Dispose()
    {
        NativeMemory.Free(_ring);
        _ring = null;
    }
}
