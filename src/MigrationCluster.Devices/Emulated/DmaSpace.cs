using System.Buffers.Binary;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>What a device's DMA can reach: windows mapped by descriptor, with a log of the pages written, and windows
/// whose accesses go back to the client.</summary>
/// <remarks>Not safe for concurrent use: the device's own lock covers it, store and mark together.</remarks>
internal sealed class DmaSpace : IDisposable
{
    private readonly List<Mapped> _windows = [];
    private bool _logging;

    /// <summary>Page size the log was started with; 0: no log.</summary>
    public int LogPageSizeBytes => _logging ? GuestMemoryLayout.PageSizeBytes : 0;

    public void Map(DmaWindow window)
    {
        ulong end = window.Start.Value + window.SizeBytes;
        if (window.SizeBytes == 0 || end < window.Start.Value)
            throw new DeviceRefusedException($"DMA window at {window.Start} has an impossible size of {window.SizeBytes} bytes", Errno.EINVAL);
        if (window.File is null && window.Target is null)
            throw new DeviceRefusedException($"DMA window at {window.Start} has neither a file nor a target", Errno.EINVAL);
        if (window.File is not null && (window.Start.Value | window.SizeBytes | window.FileOffset) % GuestMemoryLayout.PageSizeBytes != 0)
            throw new DeviceRefusedException($"DMA window at {window.Start} with a file is not page aligned", Errno.EINVAL);
        foreach (var other in _windows)
            if (window.Start.Value < other.End && end > other.Start)
                throw new DeviceRefusedException(
                    $"DMA window at {window.Start} overlaps the one at {new Iova(other.Start)}", Errno.EEXIST);
        _windows.Add(new Mapped(window));
    }

    public void Unmap(Iova start, ulong sizeBytes)
    {
        int index = _windows.FindIndex(w => w.Start == start.Value && w.SizeBytes == sizeBytes);
        if (index < 0)
            throw new DeviceRefusedException($"no DMA window of {sizeBytes} bytes starts at {start}", Errno.ENOENT);
        _windows[index].Dispose();
        _windows.RemoveAt(index);
    }

    public void StartLog(int pageSizeBytes)
    {
        if (pageSizeBytes != GuestMemoryLayout.PageSizeBytes)
            throw new DeviceRefusedException(
                $"dirty pages are logged by {GuestMemoryLayout.PageSizeBytes} bytes, not by {pageSizeBytes}", Errno.EINVAL);
        foreach (var window in _windows) window.Dirty.AsSpan().Clear();
        _logging = true;
    }

    public void StopLog() => _logging = false;

    public void Report(Iova start, ulong sizeBytes, Span<byte> bitmap)
    {
        if (!_logging) throw new DeviceRefusedException("dirty logging is not started", Errno.EINVAL);
        var window = _windows.Find(w => start.Value >= w.Start && start.Value < w.End)
            ?? throw new DeviceRefusedException($"no DMA window holds {start}", Errno.ENOENT);
        ulong offset = start.Value - window.Start;
        if (sizeBytes == 0 || sizeBytes > window.SizeBytes - offset || (offset | sizeBytes) % GuestMemoryLayout.PageSizeBytes != 0)
            throw new DeviceRefusedException(
                $"a dirty report of {sizeBytes} bytes at {start} does not lie on whole pages of one window", Errno.EINVAL);
        long pages = (long)(sizeBytes / GuestMemoryLayout.PageSizeBytes);
        if (bitmap.Length < (pages + 63) / 64 * 8)
            throw new DeviceRefusedException($"a bitmap of {bitmap.Length} bytes is too short for {pages} pages", Errno.EINVAL);
        window.TakeDirty((long)(offset / GuestMemoryLayout.PageSizeBytes), pages, bitmap);
    }

    /// <summary>One page of mapped, writable memory.</summary>
    /// <returns>false: no such memory is mapped.</returns>
    public unsafe bool TryFindPage(Iova address, out byte* page, out Mark mark)
    {
        foreach (var window in _windows)
        {
            if (window.Memory is null || !window.Writable || address.Value < window.Start || address.Value >= window.End) continue;
            // SAFETY: the page lies inside the window's mapping, which the device's lock keeps in place.
            ulong offset = address.Value - window.Start;
            page = window.Memory.Pointer + offset;
            mark = new Mark(_logging ? window.Dirty : null, (long)(offset / GuestMemoryLayout.PageSizeBytes));
            return true;
        }
        page = null;
        mark = default;
        return false;
    }

    /// <summary>Who takes an access that no mapped memory covers; null: nobody.</summary>
    public IDmaTarget? TargetOf(Iova address) =>
        _windows.Find(w => w.Target is not null && w.Writable && address.Value >= w.Start && address.Value < w.End)?.Target;

    public void Dispose()
    {
        foreach (var window in _windows) window.Dispose();
        _windows.Clear();
    }

    /// <summary>Marks a page dirty, after its store.</summary>
    public readonly struct Mark(ulong[]? dirty, long page)
    {
        public void Set()
        {
            if (dirty is not null) Interlocked.Or(ref dirty[page >> 6], 1UL << (int)(page & 63));
        }
    }

    private sealed class Mapped(DmaWindow window) : IDisposable
    {
        public ulong Start { get; } = window.Start.Value;
        public ulong SizeBytes { get; } = window.SizeBytes;
        public ulong End => Start + SizeBytes;
        public bool Writable { get; } = window.Writable;
        public IDmaTarget? Target { get; } = window.File is null ? window.Target : null;

        public MappedMemory? Memory { get; } = window.File is null
            ? null
            : MappedMemory.Map(window.File, window.FileOffset, (long)window.SizeBytes, window.Writable);

        public ulong[] Dirty { get; } = window.File is null
            ? []
            : new ulong[(window.SizeBytes / GuestMemoryLayout.PageSizeBytes + 63) / 64];

        public void Dispose() => Memory?.Dispose();

        public void TakeDirty(long firstPage, long pages, Span<byte> bitmap)
        {
            // What only the client writes (a window without a file) is the client's to log.
            if (Dirty.Length == 0) return;
            if (firstPage == 0 && pages == (long)(SizeBytes / GuestMemoryLayout.PageSizeBytes))
            {
                for (int i = 0; i < Dirty.Length; i++)
                {
                    ulong word = Interlocked.Exchange(ref Dirty[i], 0);
                    if (word == 0) continue;
                    var target = bitmap.Slice(i * 8, 8);
                    BinaryPrimitives.WriteUInt64LittleEndian(target, word | BinaryPrimitives.ReadUInt64LittleEndian(target));
                }
                return;
            }
            for (long i = 0; i < pages; i++)
            {
                long page = firstPage + i;
                ulong bit = 1UL << (int)(page & 63);
                if ((Interlocked.And(ref Dirty[page >> 6], ~bit) & bit) != 0) bitmap[(int)(i >> 3)] |= (byte)(1 << (int)(i & 7));
            }
        }
    }
}
