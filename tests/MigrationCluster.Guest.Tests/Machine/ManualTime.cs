namespace MigrationCluster.Guest.Tests.Machine;

/// <summary>One timer, fired by hand.</summary>
internal sealed class ManualTime : TimeProvider, ITimer
{
    private TimerCallback? _callback;

    public TimeSpan Due { get; private set; } = Timeout.InfiniteTimeSpan;

    public void Fire() => _callback!(null);

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        _callback = callback;
        Change(dueTime, period);
        return this;
    }

    public bool Change(TimeSpan dueTime, TimeSpan period)
    {
        Due = dueTime;
        return true;
    }

    public void Dispose() => Due = Timeout.InfiniteTimeSpan;

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }
}
