namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>Time that stands still until a test moves it. Timers due fire on the mover's thread, in order.</summary>
public sealed class ManualTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<Timer> _timers = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiters = [];
    private DateTimeOffset _now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public override DateTimeOffset GetUtcNow()
    {
        lock (_lock) return _now;
    }

    public override long GetTimestamp() => GetUtcNow().Ticks;

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>The waits that are armed now, shortest first.</summary>
    public IReadOnlyList<TimeSpan> Armed
    {
        get
        {
            lock (_lock) return [.. _timers.Select(timer => timer.Due!.Value - _now).Order()];
        }
    }

    /// <summary>Ends when at least this many timers are armed.</summary>
    public Task UntilArmedAsync(int count)
    {
        lock (_lock)
        {
            if (_timers.Count >= count) return Task.CompletedTask;
            var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiters.Add((count, reached));
            return reached.Task;
        }
    }

    public void Advance(TimeSpan by)
    {
        List<Timer> due;
        lock (_lock)
        {
            _now += by;
            due = [.. _timers.Where(timer => timer.Due <= _now).OrderBy(timer => timer.Due)];
            foreach (var timer in due) Rearm(timer);
        }

        foreach (var timer in due) timer.Callback(timer.State);
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new Timer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private void Rearm(Timer timer)
    {
        if (timer.Period is { } period) timer.Due += period;
        else Disarm(timer);
    }

    private void Disarm(Timer timer)
    {
        timer.Due = null;
        _timers.Remove(timer);
    }

    private sealed class Timer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        public TimerCallback Callback { get; } = callback;
        public object? State { get; } = state;
        public DateTimeOffset? Due { get; set; }
        public TimeSpan? Period { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
            {
                time.Disarm(this);
                if (dueTime == Timeout.InfiniteTimeSpan) return true;
                Due = time._now + dueTime;
                Period = period == Timeout.InfiniteTimeSpan ? null : period;
                time._timers.Add(this);
                foreach (var (_, reached) in time._waiters.Where(w => time._timers.Count >= w.Count)) reached.TrySetResult();
                time._waiters.RemoveAll(w => time._timers.Count >= w.Count);
            }

            return true;
        }

        public void Dispose()
        {
            lock (time._lock) time.Disarm(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
