using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>
/// Guest RAM mapped into this process, with the guest process's <see cref="TransferTables"/>: for each page the CRC-32C of what
/// was last sent (source) or last loaded (destination), and the ledger of what is owed. They live in memory shared with the
/// guest process, so that they survive this one.
/// </summary>
/// <remarks>
/// Owns neither mappings nor files. They must stay valid until every sender and receiver that uses them was disposed.
/// </remarks>
public sealed unsafe partial class MappedGuestRam
{
    private const int PageSizeBytes = GuestMemoryLayout.PageSizeBytes;
    private const int SeekData = 3, SeekHole = 4;
    private const long NoHole = -1;
    private const int OfTheFileItself = 0x1000; // AT_EMPTY_PATH
    private const uint SizeAndBlocks = 0x200 | 0x400; // STATX_SIZE | STATX_BLOCKS
    private const int StatxBytes = 256, StatxSize = 40, StatxBlocks = 48, BlockBytes = 512; // statx(2)
    private const int NoSuchAddress = 6; // ENXIO: no data up to the end of the file

    private readonly MappedWindow[] _windows;
    private readonly uint* _digests;

    /// <param name="windows">one for each window of <paramref name="layout"/>, in its order.</param>
    /// <param name="tables">address of the <see cref="TransferTables"/> of the layout's pages.</param>
    public MappedGuestRam(GuestMemoryLayout layout, IReadOnlyList<MappedWindow> windows, nint tables)
    {
        if (windows.Count != layout.Windows.Count)
            throw new ArgumentException($"{windows.Count} windows mapped, and guest RAM has {layout.Windows.Count}");
        if (tables == 0 || windows.Any(window => window.Base == 0))
            throw new ArgumentException("guest RAM or its tables are not mapped");
        Layout = layout;
        _windows = [.. windows];
        _digests = (uint*)tables;
        Ledger = new TransferLedger(tables, layout.PageCount);
    }

    public GuestMemoryLayout Layout { get; }

    public TransferLedger Ledger { get; }

    /// <summary>SHA-256 over the page digest table.</summary>
    public byte[] DigestOfPages()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        const long slice = 1 << 18;
        for (long page = 0; page < Layout.PageCount; page += slice)
            hash.AppendData(MemoryMarshal.AsBytes(Digests(page, (int)Math.Min(slice, Layout.PageCount - page))));
        return hash.GetHashAndReset();
    }

    /// <summary>The digest of a page as it was last sent or loaded; 0 when it never was.</summary>
    public uint DigestOf(long page) => Digests(page, 1)[0];

    /// <summary>How many of these pages the destination has never written: they were never sent, or as zeros.</summary>
    public long CountCold(PageBitmap pages)
    {
        long cold = 0;
        for (long page = 0; pages.TryNextRun(page, 1 << 16, out long first, out long count); page = first + count)
            foreach (uint digest in Digests(first, (int)count))
                if (digest == 0 || digest == Crc32C.OfZeroPage)
                    cold++;
        return cold;
    }

    internal Span<uint> Digests(long firstPage, int count)
    {
        CheckRange(firstPage, count);
        // SAFETY: the table has a u32 for each page of the layout, and the range lies within it.
        return new Span<uint>(_digests + firstPage, count);
    }

    /// <summary>The bytes of pages that all lie in one window.</summary>
    internal Span<byte> Pages(long firstPage, int count)
    {
        CheckRange(firstPage, count);
        int window = WindowOf(firstPage, out long end);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstPage + count, end);
        // SAFETY: the window is mapped in whole and the range lies within it.
        return new Span<byte>(
            (byte*)_windows[window].Base + (firstPage - Layout.FirstPageOf(window)) * PageSizeBytes, count * PageSizeBytes);
    }

    /// <summary>The first page after the window that holds <paramref name="page"/>.</summary>
    internal long WindowEnd(long page)
    {
        WindowOf(page, out long end);
        return end;
    }

    /// <summary>
    /// The next stretch of pages at or after <paramref name="page"/> that holds data, in the same window; asked of the
    /// file, because reading a hole through the mapping would fill it.
    /// </summary>
    /// <param name="first">first page with data, or the window's end.</param>
    /// <param name="end">first page after it.</param>
    internal void NextData(long page, out long first, out long end)
    {
        first = FirstData(page);
        int window = WindowOf(page, out long windowEnd);
        if (first == windowEnd)
        {
            end = windowEnd;
            return;
        }
        long hole = MayHaveHoles(_windows[window].File) ? Seek(_windows[window].File, OffsetOf(window, first), SeekHole) : NoHole;
        end = hole < 0 ? windowEnd : Math.Clamp(PageAt(window, hole + PageSizeBytes - 1), first, windowEnd);
    }

    /// <summary>The first page at or after <paramref name="page"/> that holds data, or the window's end. Asking where that data ends is dear:
    /// the file's pages are looked at one by one until a hole comes.</summary>
    private long FirstData(long page)
    {
        int window = WindowOf(page, out long windowEnd);
        long data = Seek(_windows[window].File, OffsetOf(window, page), SeekData);
        if (data >= 0) return Math.Clamp(PageAt(window, data), page, windowEnd);
        // A file system that knows no holes has data everywhere.
        return Marshal.GetLastPInvokeError() == NoSuchAddress ? windowEnd : page;
    }

    /// <summary>Not when as much is allocated as the file is long: a guest that has used all of its RAM, whose pages need not be looked at.</summary>
    private static bool MayHaveHoles(SafeFileHandle file)
    {
        // SAFETY: the kernel writes at most the 256 bytes of a struct statx.
        byte* told = stackalloc byte[StatxBytes];
        return Statx(file, "", OfTheFileItself, SizeAndBlocks, told) != 0 || *(long*)(told + StatxBlocks) * BlockBytes < *(long*)(told + StatxSize);
    }

    private long OffsetOf(int window, long page) =>
        (long)_windows[window].FileOffset + (page - Layout.FirstPageOf(window)) * PageSizeBytes;

    private long PageAt(int window, long offset) =>
        Layout.FirstPageOf(window) + (offset - (long)_windows[window].FileOffset) / PageSizeBytes;

    /// <summary>Makes pages read as zero without touching those that do already, and notes their digest.</summary>
    internal void ClearPages(long firstPage, long count)
    {
        CheckRange(firstPage, count);
        long last = firstPage + count;
        for (long page = firstPage; page < last;)
        {
            long data = FirstData(page);
            if (data == page)
            {
                var bytes = Pages(page++, 1);
                if (!ZeroPage.IsZero(bytes)) bytes.Clear();
            }
            else page = data;
        }
        const int slice = 1 << 20;
        for (long page = firstPage; page < last; page += slice)
            Digests(page, (int)Math.Min(slice, last - page)).Fill(Crc32C.OfZeroPage);
    }

    private int WindowOf(long page, out long end)
    {
        int window = _windows.Length - 1;
        while (Layout.FirstPageOf(window) > page) window--;
        end = window + 1 < _windows.Length ? Layout.FirstPageOf(window + 1) : Layout.PageCount;
        return window;
    }

    private void CheckRange(long firstPage, long count)
    {
        if (firstPage < 0 || count < 1 || firstPage > Layout.PageCount - count)
            throw new ArgumentOutOfRangeException(
                nameof(firstPage), $"{count} pages from {firstPage}, and guest RAM has {Layout.PageCount}");
    }

    // SAFETY: a caller hands over memory for a whole struct statx.
    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Statx(SafeFileHandle file, string path, int flags, uint mask, byte* told);

    // SAFETY: takes no pointer; the handle is kept alive by the marshaller. The file's offset, which this moves, is used
    // by nobody: RAM is only ever mapped.
    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);
}
