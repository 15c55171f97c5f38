using Microsoft.Win32.SafeHandles;

namespace MigrationCluster.Devices.Native;

/// <summary>A shared mapping of a file: guest RAM, or a device's memory. Independent of the descriptor once it is made.</summary>
/// <remarks>
/// The owner ends every access before <see cref="Dispose"/>; nothing checks that per access, because the data plane
/// and the vCPUs go through the raw pointer.
/// </remarks>
public sealed unsafe class MappedMemory : IDisposable
{
    private byte* _pointer;

    private MappedMemory(byte* pointer, long length)
    {
        _pointer = pointer;
        Length = length;
    }

    /// <summary>Bytes mapped.</summary>
    public long Length { get; }

    /// <exception cref="ObjectDisposedException">already unmapped.</exception>
    public byte* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_pointer == null, this);
            return _pointer;
        }
    }

    /// <param name="offset">in bytes, a multiple of the page size.</param>
    /// <param name="present">bring every page into being now, instead of at its first access.</param>
    /// <exception cref="IOException">the file ends before the mapping would (an access behind its end is SIGBUS), or the
    /// system refuses it.</exception>
    public static MappedMemory Map(SafeFileHandle file, ulong offset, long length, bool writable = true, bool present = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        long fileLength = RandomAccess.GetLength(file);
        if (offset > (ulong)fileLength || (ulong)length > (ulong)fileLength - offset)
            throw new IOException($"a file of {fileLength} bytes has no {length} bytes at offset {offset} to map");
        // SAFETY: a new shared mapping at an address of the kernel's choice; nothing else in this process is touched.
        void* pointer = Libc.mmap(
            null, (nuint)length, writable ? Libc.PROT_READ | Libc.PROT_WRITE : Libc.PROT_READ,
            Libc.MAP_SHARED | (present ? Libc.MAP_POPULATE : 0), file, (long)offset);
        if ((nint)pointer == -1) throw Libc.Failure($"cannot map {length} bytes at offset {offset}");
        return new MappedMemory((byte*)pointer, length);
    }

    /// <exception cref="ArgumentOutOfRangeException">not inside the mapping.</exception>
    public Span<byte> Span(long offset, int length)
    {
        if (offset < 0 || length < 0 || offset > Length - length)
            throw new ArgumentOutOfRangeException(nameof(offset), offset, $"{length} bytes there leave {Length} mapped ones");
        // SAFETY: the range was just checked against the mapping; the owner keeps it mapped while the span is in use.
        return new Span<byte>(Pointer + offset, length);
    }

    public void Dispose()
    {
        if (_pointer == null) return;
        // SAFETY: exactly the range mmap returned, once; the owner has ended every access.
        _ = Libc.munmap(_pointer, (nuint)Length);
        _pointer = null;
    }
}
