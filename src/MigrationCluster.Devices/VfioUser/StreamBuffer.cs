using System.Buffers;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>
/// Memory that both sides of one connection map, so that a state stream's bytes do not pass the socket: two copies by the kernel
/// and a wake-up for every part that its buffer holds.
///
/// <code>
///   client  creates it, sealed against shrinking -- SHARE_STREAM_BUFFER, descriptor --> server maps it
///   read    READ_STREAM ------> server fills it from its start on -- head of the reply --> client takes the bytes
///   write   client fills it --> WRITE_STREAM, head only ----------> server takes the bytes -- reply
/// </code>
/// </summary>
/// <remarks>One command at a time uses it: between a command and its reply it is the server's, else the client's.</remarks>
internal sealed unsafe class StreamBuffer : MemoryManager<byte>
{
    /// <summary>As much as one command may carry.</summary>
    internal const int SizeBytes = 1 << 20;

    private readonly MappedMemory _mapping;

    private StreamBuffer(MappedMemory mapping) => _mapping = mapping;

    /// <summary>For a client: the descriptor is for the server.</summary>
    internal static StreamBuffer Create(out SafeFileHandle file)
    {
        file = Memfd.Create("state-stream", SizeBytes, keepsSize: true);
        return new StreamBuffer(MappedMemory.Map(file, 0, SizeBytes));
    }

    /// <summary>For a server.</summary>
    /// <exception cref="DeviceRefusedException">EINVAL: a file that is too short, or could become so under the mapping.</exception>
    internal static StreamBuffer Map(SafeFileHandle file)
    {
        if (!Memfd.KeepsSize(file)) throw new DeviceRefusedException("a stream buffer is sealed against shrinking", Errno.EINVAL);
        try
        {
            return new StreamBuffer(MappedMemory.Map(file, 0, SizeBytes));
        }
        catch (IOException e)
        {
            throw new DeviceRefusedException($"a stream buffer has {SizeBytes} bytes: {e.Message}", Errno.EINVAL);
        }
    }

    public override Span<byte> GetSpan() => _mapping.Span(0, SizeBytes);

    // SAFETY: the mapping does not move, and lives until Dispose, which the connection calls after the last command.
    public override MemoryHandle Pin(int elementIndex = 0) => new(_mapping.Pointer + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing) => _mapping.Dispose();
}
