namespace MigrationCluster.Protocol.Memory;

/// <summary>One contiguous range of guest RAM. Address and size are multiples of the page size.</summary>
public readonly record struct MemoryWindow(Gpa Start, ulong SizeBytes)
{
    public ulong End => Start.Value + SizeBytes;
}

/// <summary>
/// Guest RAM as an ordered list of windows. Pages are numbered through all windows in order; this page
/// index is what dirty bitmaps, page digests and data-plane frames speak, so that holes between windows cost nothing.
/// </summary>
public sealed class GuestMemoryLayout
{
    public const int PageSizeBytes = 4096;

    private readonly MemoryWindow[] _windows;
    private readonly long[] _firstPage;

    /// <exception cref="ArgumentException">a window is empty, unaligned, overlapping or out of order.</exception>
    public GuestMemoryLayout(IEnumerable<MemoryWindow> windows)
    {
        _windows = [.. windows];
        _firstPage = new long[_windows.Length];
        ulong end = 0;
        for (int i = 0; i < _windows.Length; i++)
        {
            var window = _windows[i];
            if (window.SizeBytes == 0 || (window.SizeBytes | window.Start.Value) % PageSizeBytes != 0)
                throw new ArgumentException($"memory window {i} at {window.Start} is empty or not page aligned");
            if (window.Start.Value < end || window.End < window.Start.Value)
                throw new ArgumentException($"memory window {i} at {window.Start} overlaps or is out of order");
            end = window.End;
            _firstPage[i] = PageCount;
            PageCount += (long)(window.SizeBytes / PageSizeBytes);
        }
    }

    public IReadOnlyList<MemoryWindow> Windows => _windows;

    public long PageCount { get; }

    public ulong SizeBytes => (ulong)PageCount * PageSizeBytes;

    public long FirstPageOf(int window) => _firstPage[window];

    /// <summary>The page index of an address, or -1 where no window holds it.</summary>
    public long PageOf(Gpa address)
    {
        for (int i = 0; i < _windows.Length; i++)
            if (address.Value >= _windows[i].Start.Value && address.Value < _windows[i].End)
                return _firstPage[i] + (long)((address.Value - _windows[i].Start.Value) / PageSizeBytes);
        return -1;
    }

    /// <summary>The address of a page.</summary>
    /// <exception cref="ArgumentOutOfRangeException">no such page.</exception>
    public Gpa AddressOf(long page)
    {
        for (int i = _windows.Length - 1; i >= 0; i--)
            if (page >= _firstPage[i] && page < PageCount)
                return new Gpa(_windows[i].Start.Value + (ulong)(page - _firstPage[i]) * PageSizeBytes);
        throw new ArgumentOutOfRangeException(nameof(page), page, $"guest RAM has {PageCount} pages");
    }
}
