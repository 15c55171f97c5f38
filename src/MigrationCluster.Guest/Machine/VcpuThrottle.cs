namespace MigrationCluster.Guest.Machine;

/// <summary>How much the vCPUs are slowed, and for how long yet: whoever asked for it may not come back to lift it.</summary>
internal sealed class VcpuThrottle : IDisposable
{
    private readonly Lock _sync = new();
    private readonly Action<int> _apply;
    private readonly ITimer _timer;
    private int _percent;

    public VcpuThrottle(TimeProvider time, Action<int> apply)
    {
        _apply = apply;
        _timer = time.CreateTimer(_ => Lift(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <returns>what it was before.</returns>
    public int Set(int percent, TimeSpan lease)
    {
        lock (_sync)
        {
            int before = _percent;
            _percent = percent;
            _apply(percent);
            _timer.Change(percent == 0 ? Timeout.InfiniteTimeSpan : lease, Timeout.InfiniteTimeSpan);
            return before;
        }
    }

    public void Lift() => Set(0, TimeSpan.Zero);

    public void Dispose() => _timer.Dispose();
}
