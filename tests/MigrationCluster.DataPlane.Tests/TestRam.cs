using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Guest RAM of two windows with a hole between them, in one memfd, as a guest process would share it.</summary>
internal sealed unsafe partial class TestRam : IDisposable
{
    private const int KeepSize = 1, PunchHole = 2; // fallocate(2)
    private const int Protection = 3, Shared = 1; // PROT_READ | PROT_WRITE, MAP_SHARED

    private readonly SafeFileHandle _file;
    private readonly nint _base;
    private readonly nint _digests;
    private readonly ulong _size;

    internal TestRam(int firstMiB, int secondMiB = 0)
    {
        ulong first = (ulong)firstMiB << 20, second = (ulong)secondMiB << 20;
        _size = first + second;
        var windows = new List<MemoryWindow> { new(new Gpa(0), first) };
        if (second > 0) windows.Add(new MemoryWindow(new Gpa(first + (1 << 30)), second));
        Layout = new GuestMemoryLayout(windows);
        _file = new SafeFileHandle(MemfdCreate("test-ram", 1), ownsHandle: true);
        Assert.False(_file.IsInvalid);
        RandomAccess.SetLength(_file, (long)_size);
        _base = Map(0, (nuint)_size, Protection, Shared, (int)_file.DangerousGetHandle(), 0);
        Assert.NotEqual(-1, _base);
        _digests = (nint)NativeMemory.AllocZeroed((nuint)TransferTables.SizeBytes(Layout.PageCount), 1);
        Incarnate();
        var mapped = new List<MappedWindow> { new(_base, _file, 0) };
        if (second > 0) mapped.Add(new MappedWindow(_base + (nint)first, _file, first));
        Mapped = new MappedGuestRam(Layout, mapped, _digests);
    }

    internal GuestMemoryLayout Layout { get; }

    internal MappedGuestRam Mapped { get; }

    internal Span<byte> Bytes => new((void*)_base, checked((int)_size));

    internal Span<byte> Page(long page) => Bytes.Slice(checked((int)page * 4096), 4096);

    /// <summary>As a guest process does when it starts.</summary>
    internal void Incarnate() =>
        *(long*)(_digests + TransferTables.LedgerOffset(Layout.PageCount)) = Random.Shared.NextInt64(1, long.MaxValue);

    /// <summary>Makes a hole of pages that the file had.</summary>
    internal void Punch(long page, long count) =>
        Assert.Equal(0, Allocate((int)_file.DangerousGetHandle(), KeepSize | PunchHole, page * 4096, count * 4096));

    internal void FillRandom(int seed) => new Random(seed).NextBytes(Bytes);

    /// <summary>Bytes that the file really holds: pages ever touched.</summary>
    internal long AllocatedBytes()
    {
        Span<byte> status = stackalloc byte[144]; // struct stat of 64-bit Linux: st_blocks at 64, in 512 bytes
        fixed (byte* at = status) Assert.Equal(0, StatOf((int)_file.DangerousGetHandle(), at));
        return BitConverter.ToInt64(status[64..]) * 512;
    }

    public void Dispose()
    {
        _ = Unmap(_base, (nuint)_size);
        NativeMemory.Free((void*)_digests);
        _file.Dispose();
    }

    // SAFETY: plain calls of libc; results are checked, and the mapping lives as long as this object.
    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MemfdCreate(string name, uint flags);

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial nint Map(nint address, nuint length, int protection, int flags, int file, long offset);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "fallocate")]
    private static partial int Allocate(int file, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "fstat")]
    private static partial int StatOf(int file, byte* status);
}
