using System.Numerics;
using System.Runtime.InteropServices;

namespace MigrationCluster.Protocol.Memory;

/// <summary>A set of pages, one bit a page index; bit k is byte k/8, bit k%8 (the wire's and the kernel's order).</summary>
/// <remarks>Not safe for concurrent use.</remarks>
public sealed class PageBitmap
{
    private readonly ulong[] _words;

    public PageBitmap(long pageCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(pageCount);
        PageCount = pageCount;
        _words = new ulong[(pageCount + 63) / 64];
    }

    public long PageCount { get; }

    /// <summary>The bits as little-endian 64-bit words, the last one padded with zero bits.</summary>
    public Span<ulong> Words => _words;

    public Span<byte> Bytes => MemoryMarshal.AsBytes(_words.AsSpan());

    public bool this[long page]
    {
        get => (_words[page >> 6] >> (int)(page & 63) & 1) != 0;
        set
        {
            if ((ulong)page >= (ulong)PageCount) throw new ArgumentOutOfRangeException(nameof(page));
            if (value) _words[page >> 6] |= 1UL << (int)(page & 63);
            else _words[page >> 6] &= ~(1UL << (int)(page & 63));
        }
    }

    public bool IsEmpty => _words.AsSpan().IndexOfAnyExcept(0UL) < 0;

    public long Count()
    {
        long count = 0;
        foreach (ulong word in _words) count += BitOperations.PopCount(word);
        return count;
    }

    public void Clear() => Array.Clear(_words);

    public void SetAll()
    {
        Array.Fill(_words, ulong.MaxValue);
        if (PageCount % 64 != 0) _words[^1] = (1UL << (int)(PageCount % 64)) - 1;
    }

    public void SetRange(long first, long count)
    {
        if (first < 0 || count < 0 || first + count > PageCount) throw new ArgumentOutOfRangeException(nameof(count));
        for (long page = first; page < first + count; page++) this[page] = true;
    }

    /// <summary>Takes a run of pages out of the words of a bitmap, wherever it lies.</summary>
    public static void ClearRange(Span<ulong> words, long first, long count)
    {
        int from = (int)(first >> 6), to = (int)((first + count - 1) >> 6);
        ulong below = (1UL << (int)(first & 63)) - 1, above = ulong.MaxValue << (int)((first + count - 1) & 63) << 1;
        if (from == to)
        {
            words[from] &= below | above;
            return;
        }
        words[from] &= below;
        words[(from + 1)..to].Clear();
        words[to] &= above;
    }

    /// <summary>Adds every page of <paramref name="other"/>, which must be of the same size.</summary>
    public void Or(PageBitmap other)
    {
        if (other.PageCount != PageCount)
            throw new ArgumentException($"bitmaps of {PageCount} and {other.PageCount} pages do not match");
        for (int i = 0; i < _words.Length; i++) _words[i] |= other._words[i];
    }

    /// <summary>The next run of set pages at or after <paramref name="from"/>, no longer than <paramref name="maxCount"/>.</summary>
    public bool TryNextRun(long from, long maxCount, out long first, out long count)
    {
        first = NextSet(from);
        count = 0;
        if (first < 0) return false;
        count = Math.Min(NextClear(first), first + Math.Min(maxCount, PageCount - first)) - first;
        return true;
    }

    private long NextClear(long from)
    {
        int index = (int)(from >> 6);
        ulong clear = ~_words[index] & (ulong.MaxValue << (int)(from & 63));
        while (clear == 0)
        {
            if (++index == _words.Length) return PageCount;
            clear = ~_words[index];
        }
        return ((long)index << 6) + BitOperations.TrailingZeroCount(clear);
    }

    private long NextSet(long from)
    {
        if (from >= PageCount) return -1;
        int index = (int)(from >> 6);
        ulong word = _words[index] & (ulong.MaxValue << (int)(from & 63));
        while (word == 0)
        {
            if (++index == _words.Length) return -1;
            word = _words[index];
        }
        return ((long)index << 6) + BitOperations.TrailingZeroCount(word);
    }
}
