using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>One transfer's part of its node's bandwidth, used by all its connections, whichever link they are of.</summary>
/// <remarks>What is not public is guarded by the budget's lock.</remarks>
public sealed class BandwidthShare : IDisposable
{
    private readonly BandwidthBudget _budget;
    private readonly ITimer _timer;
    private readonly List<Signal> _waiting = new(DataPlaneWire.MaxChannels);
    private volatile bool _isFree;

    internal BandwidthShare(BandwidthBudget budget, long? limit, TimeProvider time)
    {
        (_budget, OwnLimit) = (budget, limit);
        _timer = time.CreateTimer(
            static share => ((BandwidthShare)share!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>The transfer's own limit, bytes per second, which may change while it runs; null: none.</summary>
    public long? Limit
    {
        get => OwnLimit;
        set => _budget.Set(this, value, OwnUrgent);
    }

    /// <summary>In stop-and-copy: the guest stands still.</summary>
    public bool Urgent
    {
        get => OwnUrgent;
        set => _budget.Set(this, OwnLimit, value);
    }

    /// <summary>Takes bytes that are about to be sent.</summary>
    /// <param name="wake">set when it is worth asking again.</param>
    /// <returns>how many of them may leave now; 0: none yet.</returns>
    internal int Take(int bytes, Signal wake) => IsFree ? bytes : _budget.Take(this, bytes, wake);

    public void Dispose()
    {
        _budget.Close(this);
        _timer.Dispose();
    }

    /// <summary>No limit is to be looked at: the way of a node that has none stays free of locks.</summary>
    internal bool IsFree { get => _isFree; set => _isFree = value; }

    internal long? OwnLimit { get; set; }

    internal bool OwnUrgent { get; set; }

    /// <summary>Timestamp; long ago at first.</summary>
    internal long LastAsked { get; set; } = long.MinValue / 2;

    /// <summary>Bytes that may leave; below 0: what left before its time.</summary>
    internal double Balance { get; set; }

    internal long FilledAt { get; private set; } = long.MinValue / 2;

    internal bool IsWaiting => _waiting.Count > 0;

    /// <summary>What was not used is worth a burst, not more.</summary>
    internal void Fill(double bytes, double burst, long now) => (Balance, FilledAt) = (Math.Min(Balance + bytes, burst), now);

    internal void WaitFor(Signal wake, TimeSpan due)
    {
        if (!_waiting.Contains(wake)) _waiting.Add(wake);
        // Timers count whole milliseconds, downwards.
        _timer.Change(TimeSpan.FromMilliseconds(Math.Ceiling(due.TotalMilliseconds + 0.001)), Timeout.InfiniteTimeSpan);
    }

    internal void WakeAll()
    {
        foreach (var wake in _waiting) wake.Set();
        _waiting.Clear();
    }

    private void Wake() => _budget.Wake(this);
}
