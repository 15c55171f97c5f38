using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Sending;

/// <summary>
/// One call of SendPagesAsync: the caller's bitmap, from which a page goes when the destination has acknowledged it, as it goes from
/// what is owed. What is left after a failure is dirty debt.
/// </summary>
internal sealed class PagePass(int number, PageBitmap pages, bool findHoles, TransferLedger ledger)
{
    private readonly Lock _lock = new();
    private bool _over;

    internal int Number => number;

    internal PageBitmap Pages => pages;

    internal bool FindHoles => findHoles;

    /// <summary>Takes a run out of the bitmap. Channels never share a word of it: they differ by ranges of 512 pages.</summary>
    internal void TakeAck(in SentFrame frame)
    {
        lock (_lock)
        {
            if (_over || frame.Pass != number) return;
            for (ulong page = frame.First; page < frame.First + frame.Count; page++) pages[(long)page] = false;
            ledger.Settle((long)frame.First, (long)frame.Count);
        }
    }

    /// <summary>From here on the bitmap is the caller's alone.</summary>
    internal void End()
    {
        lock (_lock) _over = true;
    }

    /// <summary>The next run of pages at or after <paramref name="from"/> that travels on a channel, within one range.</summary>
    internal bool TryNextRun(int channel, int channels, long from, out long first, out long count)
    {
        while (true)
        {
            if (!pages.TryNextRun(from, DataPlaneWire.PagesPerRange, out first, out count)) return false;
            long range = first / DataPlaneWire.PagesPerRange;
            if (DataPlaneWire.ChannelOf(first, channels) == channel)
            {
                count = Math.Min(count, (range + 1) * DataPlaneWire.PagesPerRange - first);
                return true;
            }
            // On to this channel's next range.
            do range++;
            while (DataPlaneWire.ChannelOf(range * DataPlaneWire.PagesPerRange, channels) != channel);
            from = range * DataPlaneWire.PagesPerRange;
        }
    }
}
