using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Memory;

/// <summary>Which pages the vCPUs have written. A page is marked after its store, so that whoever takes the mark and then
/// reads the page sees the store; a store he misses is marked again.</summary>
internal sealed class VcpuDirtyLog(long pageCount)
{
    private readonly ulong[] _words = new ulong[(pageCount + 63) / 64];
    private volatile bool _enabled;

    public bool IsEnabled => _enabled;

    /// <summary>Starts empty. The caller then lets every vCPU pass a batch boundary: a store that is not marked must lie
    /// before the start.</summary>
    public void Start()
    {
        Array.Clear(_words);
        _enabled = true;
    }

    public void Stop() => _enabled = false;

    public void Mark(long page)
    {
        if (_enabled) Interlocked.Or(ref _words[page >> 6], 1UL << (int)(page & 63));
    }

    /// <summary>Moves all marks into a set.</summary>
    public void Take(PageBitmap into)
    {
        var words = into.Words;
        for (int i = 0; i < _words.Length; i++)
            if (Volatile.Read(ref _words[i]) != 0) words[i] |= Interlocked.Exchange(ref _words[i], 0);
    }
}
