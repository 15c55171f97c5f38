namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// One thread, one clock, one queue of what is to be run. Everything of a fleet runs here: time stands still while anything can be
/// run and then moves to the next alarm, so that hours take as long as what happens in them.
/// </summary>
/// <param name="order">which of what can be run now is run next, as a pool's threads would take it in any order; null: the first.</param>
internal sealed class VirtualTime(Random? order, Trace trace)
{
    private readonly PriorityQueue<Alarm, (long Due, long Number)> _alarms = new();
    private readonly List<Turn> _ready = [];
    private readonly int _thread = Environment.CurrentManagedThreadId;
    private int _next;
    private long _armed;

    /// <summary>Ticks since the run began.</summary>
    public long Now { get; private set; }

    /// <summary>How many turns and alarms have been run.</summary>
    public long Events { get; private set; }

    /// <summary>Something of the shell went on on another thread: nothing of such a run can be relied on.</summary>
    public string? Leak { get; private set; }

    /// <summary>A turn threw; nobody else would hear of it.</summary>
    public Exception? Defect { get; private set; }

    public bool IsOver => Leak is not null || Defect is not null;

    public void Ready(SimulatedProcess process, SendOrPostCallback callback, object? state)
    {
        if (OnThread()) _ready.Add(new Turn(process, callback, state));
    }

    /// <summary>Runs an action at a later time, whatever has become of whoever asked for it.</summary>
    public Alarm After(TimeSpan wait, Action action) => Arm(wait, null, static action => ((Action)action!)(), action);

    /// <summary>A process's own alarm: it is gone with it.</summary>
    public Alarm Arm(TimeSpan wait, SimulatedProcess? process, SendOrPostCallback callback, object? state)
    {
        var alarm = new Alarm(process, callback, state);
        if (OnThread()) _alarms.Enqueue(alarm, (Now + Math.Max(wait.Ticks, 0), _armed++));
        return alarm;
    }

    /// <summary>Runs what comes next, if that is not later than <paramref name="until"/>; else it is that time.</summary>
    /// <returns>false: nothing was left to run until then.</returns>
    public bool RunNext(TimeSpan until)
    {
        if (_next < _ready.Count)
        {
            Run(TakeNext());
            return true;
        }

        _ready.Clear();
        _next = 0;
        if (!_alarms.TryPeek(out var alarm, out var key) || key.Due > until.Ticks)
        {
            Now = Math.Max(Now, until.Ticks);
            return false;
        }

        _alarms.Dequeue();
        Now = key.Due;
        if (alarm.IsOff) return true;
        if (alarm.Process is { } process) process.Post(alarm.Callback, alarm.State);
        else Run(new Turn(null, alarm.Callback, alarm.State));
        return true;
    }

    private Turn TakeNext()
    {
        if (order is not null && _ready.Count - _next is > 1 and int waiting)
        {
            int chosen = _next + order.Next(waiting);
            (_ready[_next], _ready[chosen]) = (_ready[chosen], _ready[_next]);
        }

        return _ready[_next++];
    }

    private void Run(Turn turn)
    {
        if (turn.Process is { } process && !process.Takes(turn)) return;
        Events++;
        trace.Mix(Now);
        SynchronizationContext.SetSynchronizationContext(turn.Process);
        try
        {
            turn.Callback(turn.State);
        }
        catch (Exception error)
        {
            Defect ??= error;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(null);
        }
    }

    private bool OnThread()
    {
        if (Environment.CurrentManagedThreadId == _thread) return true;
        Leak ??= Environment.StackTrace;
        return false;
    }
}

/// <param name="Process">whose turn it is; null: the world's.</param>
internal readonly record struct Turn(SimulatedProcess? Process, SendOrPostCallback Callback, object? State);

internal sealed class Alarm(SimulatedProcess? process, SendOrPostCallback callback, object? state)
{
    public SimulatedProcess? Process => process;

    public SendOrPostCallback Callback => callback;

    public object? State => state;

    public bool IsOff { get; private set; }

    public void TurnOff() => IsOff = true;
}
