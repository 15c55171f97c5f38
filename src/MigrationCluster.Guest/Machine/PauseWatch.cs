namespace MigrationCluster.Guest.Machine;

/// <summary>Counts how long a machine has been paused, and says once when it is too long.</summary>
internal sealed class PauseWatch : IDisposable
{
    private readonly Lock _sync = new();
    private readonly ITimer _timer;
    private TimeSpan? _deadline;
    private bool _paused;

    public PauseWatch(TimeProvider time, Action expired) =>
        _timer = time.CreateTimer(_ => expired(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    /// <summary>From the next pause on, or from now when paused already.</summary>
    public void SetDeadline(TimeSpan deadline)
    {
        lock (_sync)
        {
            _deadline = deadline;
            if (_paused) Arm();
        }
    }

    public void OnPaused()
    {
        lock (_sync)
        {
            if (_paused) return;
            _paused = true;
            Arm();
        }
    }

    /// <summary>Resumed, or the guest was yielded: there is nothing left to keep.</summary>
    public void Disarm()
    {
        lock (_sync)
        {
            _paused = false;
            _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Arm()
    {
        if (_deadline is { } deadline) _timer.Change(deadline, Timeout.InfiniteTimeSpan);
    }
}
