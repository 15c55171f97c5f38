namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// One life of a daemon. Its code runs in turns, in this context. Killed, no turn of it comes again: whatever it had begun stands
/// where it was, as after kill -9. Stopped (SIGSTOP), its turns wait, and it goes on later with what it knew.
/// </summary>
internal sealed class SimulatedProcess : SynchronizationContext
{
    private readonly VirtualTime _time;
    private readonly Queue<Turn> _waiting = new();

    public SimulatedProcess(VirtualTime time, TimeSpan skew)
    {
        _time = time;
        Clock = new ProcessClock(this, time) { Skew = skew };
    }

    public bool IsAlive { get; private set; } = true;

    public bool IsStopped { get; private set; }

    public ProcessClock Clock { get; }

    public void Kill() => IsAlive = false;

    public void Stop() => IsStopped = true;

    public void Continue()
    {
        IsStopped = false;
        while (_waiting.TryDequeue(out var turn)) _time.Ready(this, turn.Callback, turn.State);
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (IsAlive) _time.Ready(this, d, state);
    }

    public void Post(Action action) => Post(static action => ((Action)action!)(), action);

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("nobody waits for a turn");

    public override SynchronizationContext CreateCopy() => this;

    /// <returns>false: not now, or never.</returns>
    public bool Takes(Turn turn)
    {
        if (!IsAlive) return false;
        if (IsStopped) _waiting.Enqueue(turn);
        return !IsStopped;
    }
}

/// <summary>The clock of one process: its timers end with it, and its wall clock may be wrong.</summary>
internal sealed class ProcessClock(SimulatedProcess process, VirtualTime time) : TimeProvider
{
    private static readonly DateTimeOffset Start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public TimeSpan Skew { get; set; }

    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    public override long GetTimestamp() => time.Now;

    public override DateTimeOffset GetUtcNow() => Start + TimeSpan.FromTicks(time.Now) + Skew;

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ProcessTimer(process, time, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    private sealed class ProcessTimer(SimulatedProcess process, VirtualTime time, TimerCallback callback, object? state) : ITimer
    {
        private Alarm? _alarm;
        private TimeSpan _period = Timeout.InfiniteTimeSpan;

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            _alarm?.TurnOff();
            _period = period;
            _alarm = dueTime == Timeout.InfiniteTimeSpan ? null : Arm(dueTime);
            return true;
        }

        public void Dispose() => _alarm?.TurnOff();

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }

        private Alarm Arm(TimeSpan wait)
        {
            Alarm? armed = null;
            return armed = time.Arm(wait, process, _ => Fire(armed!), null);
        }

        private void Fire(Alarm fired)
        {
            // Changed or disposed of between its time and its turn.
            if (fired.IsOff) return;
            _alarm = _period == Timeout.InfiniteTimeSpan ? null : Arm(_period);
            callback(state);
        }
    }
}
