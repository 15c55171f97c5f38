using System.Buffers;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Guest RAM in a mapped memfd, every page present and full of random bytes, or of zeros.</summary>
internal sealed unsafe partial class BenchRam : MemoryManager<byte>
{
    private const int ReadWrite = 3, Shared = 1;
    private const int KeepSize = 1, PunchHole = 2;

    private readonly SafeFileHandle _file;
    private readonly nint _base;
    private readonly nint _digests;
    private readonly int _size;

    /// <param name="seed">of its bytes; null: zeros.</param>
    internal BenchRam(int sizeMiB, int? seed)
    {
        _size = sizeMiB << 20;
        var layout = new GuestMemoryLayout([new MemoryWindow(new Gpa(0), (ulong)_size)]);
        _file = new SafeFileHandle(MemfdCreate("bench-ram", 1), ownsHandle: true);
        if (_file.IsInvalid) throw new IOException($"memfd_create: errno {Marshal.GetLastPInvokeError()}");
        RandomAccess.SetLength(_file, _size);
        _base = Map(0, (nuint)_size, ReadWrite, Shared, (int)_file.DangerousGetHandle(), 0);
        if (_base == -1) throw new IOException($"mmap: errno {Marshal.GetLastPInvokeError()}");
        _digests = (nint)NativeMemory.AllocZeroed((nuint)TransferTables.SizeBytes(layout.PageCount), 1);
        Mapped = new MappedGuestRam(layout, [new MappedWindow(_base, _file, 0)], _digests);
        if (seed is { } number) new Random(number).NextBytes(GetSpan());
        else GetSpan().Clear();
    }

    internal MappedGuestRam Mapped { get; }

    /// <summary>Makes it RAM that was never written: all of it is a hole again, and nothing is known of a page.</summary>
    internal void PunchOut()
    {
        Punch(_file, 0, _size);
        NativeMemory.Clear((void*)_digests, (nuint)Mapped.Layout.PageCount * sizeof(uint));
    }

    internal static void Punch(SafeFileHandle file, long offset, long length)
    {
        if (Allocate(file, KeepSize | PunchHole, offset, length) != 0) throw new IOException($"fallocate: errno {Marshal.GetLastPInvokeError()}");
    }

    public override Span<byte> GetSpan() => new((void*)_base, _size);

    // SAFETY: the mapping does not move, and lives until Dispose, which callers call after the last use.
    public override MemoryHandle Pin(int elementIndex = 0) => new((byte*)_base + elementIndex);

    public override void Unpin()
    {
    }

    protected override void Dispose(bool disposing)
    {
        _ = Unmap(_base, (nuint)_size);
        NativeMemory.Free((void*)_digests);
        _file.Dispose();
    }

    // SAFETY: plain calls of libc; results are checked.
    [LibraryImport("libc", EntryPoint = "memfd_create", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int Allocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);
}
