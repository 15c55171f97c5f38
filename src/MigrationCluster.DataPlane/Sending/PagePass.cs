using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>
/// One call of SendPagesAsync: the caller's bitmap, from which a page goes when the destination has acknowledged it, as it goes from
/// what is owed. What is left after a failure is dirty debt.
/// </summary>
/// <remarks>
/// A hole longer than a range, as the file tells of it when the pass begins, goes whole to the channel of its first page: of zeros any number
/// fits into one frame. No page is dealt twice in a pass, and none of a pass is under way any more when the next one begins, so nothing
/// overtakes it. The file is asked once, when the pass begins: what the guest writes into a hole after that is dirty, and comes with the next.
/// </remarks>
internal sealed class PagePass
{
    private readonly Lock _lock = new();
    private readonly PageBitmap _pages;
    private readonly TransferLedger _ledger;
    private readonly List<(long First, long End)> _data = [], _holes = [];
    private bool _over;

    internal PagePass(int number, PageBitmap pages, bool findHoles, MappedGuestRam ram)
    {
        (Number, _pages, _ledger) = (number, pages, ram.Ledger);
        if (findHoles) FindHoles(ram);
        else _data.Add((0, pages.PageCount));
    }

    internal int Number { get; }

    /// <summary>The stretches between holes, in order.</summary>
    internal IReadOnlyList<(long First, long End)> Data => _data;

    /// <summary>Takes a run out of the bitmap.</summary>
    internal void TakeAck(in SentFrame frame)
    {
        lock (_lock)
        {
            if (_over || frame.Pass != Number) return;
            PageBitmap.ClearRange(_pages.Words, (long)frame.First, (long)frame.Count);
            _ledger.Settle((long)frame.First, (long)frame.Count);
        }
    }

    /// <summary>From here on the bitmap is the caller's alone.</summary>
    internal void End()
    {
        lock (_lock) _over = true;
    }

    /// <summary>The next run of pages at or after <paramref name="from"/> that travels on a channel: within one range, or a long hole.</summary>
    internal bool TryNextRun(int channel, int channels, long from, out long first, out long count)
    {
        while (true)
        {
            if (!_pages.TryNextRun(from, DataPlaneWire.PagesPerRange, out first, out count)) return false;
            long range = first / DataPlaneWire.PagesPerRange;
            bool ours = DataPlaneWire.ChannelOf(first, channels) == channel;
            var hole = NextHole(first);
            if (hole.First <= first)
            {
                // Whoever it does not belong to may find a part of it that was not acknowledged yet.
                count = hole.End - first;
                if (ours && hole.First == first) return true;
                from = hole.End;
            }
            else if (ours)
            {
                count = Math.Min(count, Math.Min((range + 1) * DataPlaneWire.PagesPerRange, hole.First) - first);
                return true;
            }
            else
            {
                // On to this channel's next range, or to a hole before it.
                do range++;
                while (DataPlaneWire.ChannelOf(range * DataPlaneWire.PagesPerRange, channels) != channel);
                from = Math.Min(range * DataPlaneWire.PagesPerRange, hole.First);
            }
        }
    }

    /// <summary>The first long hole that ends after a page; none: beyond all pages.</summary>
    private (long First, long End) NextHole(long page)
    {
        int low = 0, high = _holes.Count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_holes[middle].End <= page) low = middle + 1;
            else high = middle;
        }
        return low < _holes.Count ? _holes[low] : (long.MaxValue, long.MaxValue);
    }

    private void FindHoles(MappedGuestRam ram)
    {
        for (long page = 0, dataEnd; page < _pages.PageCount; page = dataEnd)
        {
            ram.NextData(page, out long data, out dataEnd);
            if (data < dataEnd) _data.Add((data, dataEnd));
            for (long from = page; from < data && _pages.TryNextRun(from, data - from, out long first, out long count) && first < data;)
            {
                from = Math.Min(first + count, data);
                if (from - first <= DataPlaneWire.PagesPerRange) continue;
                if (_holes.Count > 0 && _holes[^1].End == first) _holes[^1] = (_holes[^1].First, from); // on into the next window
                else _holes.Add((first, from));
            }
        }
    }
}
