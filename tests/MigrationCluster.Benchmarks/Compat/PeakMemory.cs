namespace MigrationCluster.Benchmarks.Compat;

/// <summary>The most managed memory in use while something runs, as often as a thread beside it can look.</summary>
internal sealed class PeakMemory : IDisposable
{
    private readonly Thread _watcher;
    private volatile bool _stop;
    private long _peak;

    internal PeakMemory()
    {
        GC.Collect();
        _watcher = new Thread(Watch) { IsBackground = true };
        _watcher.Start();
    }

    internal double MegaBytes => Interlocked.Read(ref _peak) / 1e6;

    public void Dispose()
    {
        _stop = true;
        _watcher.Join();
    }

    private void Watch()
    {
        while (!_stop)
        {
            _peak = Math.Max(_peak, GC.GetTotalMemory(forceFullCollection: false));
            Thread.Sleep(1);
        }
    }
}
