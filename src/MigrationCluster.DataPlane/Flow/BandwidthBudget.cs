namespace MigrationCluster.DataPlane.Flow;

/// <summary>
/// A node's outgoing bandwidth, shared by its transfers: each has a share of its own, and asks it before it sends.
///
/// <code>
///   node limit 100 ----+-- stop-and-copy: at least half of it, shared by those that are there
///                      +-- pre-copy: the rest, in equal parts; whoever has a lower limit of its own leaves what it cannot use
/// </code>
/// While nobody is in stop-and-copy nothing is held back for it: pre-copy has all. A share counts while it sends
/// (<see cref="Recent"/>), so a transfer that pauses between two passes gives its part away. One that sends less than its part for
/// another reason (its network, its destination) keeps it: the node then sends less than it may.
/// </summary>
/// <remarks>
/// A transfer's own limit holds in pre-copy only: in stop-and-copy the guest stands still, and a slow link would be paid in downtime.
/// Every share is a bucket of bytes that fills at its present rate. At most <see cref="Burst"/> of it leaves at once and may then be
/// owed, so nobody waits for longer than that, and a change of any limit holds for those who wait, too: they are woken and ask again.
/// Any thread; asking allocates nothing.
/// </remarks>
public sealed class BandwidthBudget(TimeProvider time)
{
    /// <summary>The bytes of this long leave at once, so that a wait is worth a timer.</summary>
    internal static readonly TimeSpan Burst = TimeSpan.FromMilliseconds(10);

    /// <summary>And at least as many as are worth a system call.</summary>
    internal const int LeastBurstBytes = 16 << 10;

    /// <summary>How long after it last asked a share still counts.</summary>
    internal static readonly TimeSpan Recent = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private readonly List<BandwidthShare> _shares = [];
    private long? _limit;

    /// <summary>Bytes per second of all transfers together; null: as fast as they can.</summary>
    public long? Limit
    {
        get { lock (_lock) return _limit; }
        set
        {
            lock (_lock)
            {
                _limit = Positive(value);
                Changed();
            }
        }
    }

    /// <param name="limit">of this transfer alone, bytes per second; null: none.</param>
    public BandwidthShare Open(long? limit)
    {
        var share = new BandwidthShare(this, Positive(limit), time);
        lock (_lock)
        {
            _shares.Add(share);
            Changed();
        }
        return share;
    }

    internal void Close(BandwidthShare share)
    {
        lock (_lock) _shares.Remove(share);
    }

    internal void Set(BandwidthShare share, long? limit, bool urgent)
    {
        lock (_lock)
        {
            (share.OwnLimit, share.OwnUrgent) = (Positive(limit), urgent);
            Changed();
        }
    }

    internal void Wake(BandwidthShare share)
    {
        lock (_lock) share.WakeAll();
    }

    internal int Take(BandwidthShare share, int bytes, Signal wake)
    {
        lock (_lock)
        {
            long now = time.GetTimestamp();
            share.LastAsked = now;
            double rate = RateOf(share, now);
            if (double.IsPositiveInfinity(rate)) return bytes;
            double burst = Math.Max(LeastBurstBytes, rate * Burst.TotalSeconds);
            share.Fill(rate * time.GetElapsedTime(share.FilledAt, now).TotalSeconds, burst, now);
            if (share.Balance > 0)
            {
                int granted = (int)Math.Min(bytes, burst);
                share.Balance -= granted;
                return granted;
            }

            share.WaitFor(wake, TimeSpan.FromSeconds(-share.Balance / rate));
            return 0;
        }
    }

    private void Changed()
    {
        foreach (var share in _shares)
        {
            share.IsFree = _limit is null && (share.OwnLimit is null || share.OwnUrgent);
            share.WakeAll();
        }
    }

    /// <summary>What a share may send now, bytes per second.</summary>
    private double RateOf(BandwidthShare share, long now)
    {
        double own = share is { OwnLimit: { } limit, OwnUrgent: false } ? limit : double.PositiveInfinity;
        if (_limit is not { } whole) return own;
        bool anyUrgent = false, anyPatient = false;
        foreach (var other in _shares)
        {
            if (!Counts(other, now)) continue;
            anyUrgent |= other.OwnUrgent;
            anyPatient |= !other.OwnUrgent;
        }

        double part = anyUrgent && anyPatient ? whole / 2.0 : whole;
        return Math.Min(own, Level(share.OwnUrgent, part, now));
    }

    /// <summary>Max-min fairness: the level up to which everybody's limit is filled, with <paramref name="part"/> used up.</summary>
    private double Level(bool urgent, double part, long now)
    {
        double level = 0;
        while (true)
        {
            // Those who cannot use the level found so far leave their rest to the others; it only grows, so this ends.
            double left = part;
            int takers = 0;
            foreach (var share in _shares)
            {
                if (share.OwnUrgent != urgent || !Counts(share, now)) continue;
                if (!urgent && share.OwnLimit is { } limit && limit <= level) left -= limit;
                else takers++;
            }

            if (takers == 0) return double.PositiveInfinity;
            double next = left / takers;
            if (next <= level * (1 + 1e-9)) return next;
            level = next;
        }
    }

    private bool Counts(BandwidthShare share, long now) => share.IsWaiting || time.GetElapsedTime(share.LastAsked, now) <= Recent;

    private static long? Positive(long? limit) => limit is null or > 0
        ? limit
        : throw new ArgumentOutOfRangeException(nameof(limit), $"{limit} bytes per second");
}
