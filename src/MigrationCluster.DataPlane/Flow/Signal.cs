namespace MigrationCluster.DataPlane.Flow;

/// <summary>
/// Wakes one waiting thread, or lets the next one pass: an auto-reset event that allocates nothing. Whoever wakes looks at the
/// condition again.
/// </summary>
internal sealed class Signal
{
    private readonly object _lock = new(); // of a kind that can be waited on
    private bool _set;

    internal void Set()
    {
        lock (_lock)
        {
            _set = true;
            Monitor.Pulse(_lock);
        }
    }

    internal void Wait()
    {
        lock (_lock)
        {
            while (!_set) Monitor.Wait(_lock);
            _set = false;
        }
    }
}
