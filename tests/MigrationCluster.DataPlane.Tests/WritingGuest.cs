using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>A guest at work: writes pages here and there and marks them dirty, until it is paused.</summary>
internal sealed class WritingGuest : IDisposable
{
    private const int WritesPerTurn = 8;

    private readonly TestRam _ram;
    private readonly Lock _lock = new();
    private readonly Thread _thread;
    private PageBitmap _dirty;
    private volatile bool _paused;

    internal WritingGuest(TestRam ram, int seed)
    {
        _ram = ram;
        _dirty = new PageBitmap(ram.Layout.PageCount);
        _thread = new Thread(() => Run(new Random(seed))) { IsBackground = true };
        _thread.Start();
    }

    internal void Pause()
    {
        _paused = true;
        _thread.Join();
    }

    /// <summary>It must not outlive its RAM.</summary>
    public void Dispose() => Pause();

    /// <returns>how many pages it had written since the last time.</returns>
    internal long MoveDirtyTo(TransferLedger ledger)
    {
        PageBitmap dirty;
        lock (_lock) (dirty, _dirty) = (_dirty, new PageBitmap(_dirty.PageCount));
        ledger.Owe(dirty);
        return dirty.Count();
    }

    private void Run(Random random)
    {
        for (; !_paused; Thread.Sleep(1))
            lock (_lock)
                for (int i = 0; i < WritesPerTurn; i++)
                {
                    long page = random.NextInt64(_dirty.PageCount);
                    random.NextBytes(_ram.Page(page).Slice(random.Next(4000), 64));
                    _dirty[page] = true;
                }
    }
}
