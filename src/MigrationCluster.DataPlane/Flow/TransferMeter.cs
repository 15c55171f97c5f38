using System.Diagnostics;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>Counts what a session moves, in the ledger that outlives this process; every channel adds to it.</summary>
internal sealed class TransferMeter(TransferLedger ledger)
{
    private const int Samples = 32;
    private static readonly long SampleTicks = Stopwatch.Frequency / 25;

    private readonly Lock _lock = new();
    private readonly (long Time, long Acked)[] _samples = new (long, long)[Samples];
    private int _next;
    private TransferCounters? _last;

    internal void AddPages(long bytes) => Interlocked.Add(ref ledger.Count(TransferCount.Pages), bytes);

    internal void AddZeros(long bytes) => Interlocked.Add(ref ledger.Count(TransferCount.Zeros), bytes);

    internal void AddDevice(long bytes) => Interlocked.Add(ref ledger.Count(TransferCount.Devices), bytes);

    internal void AddProtocol(long bytes) => Interlocked.Add(ref ledger.Count(TransferCount.Protocol), bytes);

    internal void AddAcked(long bytes)
    {
        if (bytes == 0) return;
        long now = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            ref var last = ref _samples[(_next + Samples - 1) % Samples];
            if (_next == 0 || now - last.Time >= SampleTicks) _samples[_next++ % Samples] = (now, ledger.Count(TransferCount.Acknowledged));
            ledger.Count(TransferCount.Acknowledged) += bytes;
        }
    }

    /// <summary>Nothing is moved any more, and the ledger's memory may go: what is read from now on is what was counted until here.</summary>
    internal void Close()
    {
        lock (_lock) _last ??= Count();
    }

    internal TransferCounters Read()
    {
        lock (_lock) return _last ?? Count();
    }

    private TransferCounters Count() => new(
        Interlocked.Read(ref ledger.Count(TransferCount.Pages)), Interlocked.Read(ref ledger.Count(TransferCount.Zeros)),
        Interlocked.Read(ref ledger.Count(TransferCount.Devices)), Interlocked.Read(ref ledger.Count(TransferCount.Protocol)),
        ReadAcked(out double rate), Interlocked.Read(ref ledger.Count(TransferCount.Unacknowledged)), rate);

    private long ReadAcked(out double rate)
    {
        long now = Stopwatch.GetTimestamp();
        // The oldest sample that is not older than about a second: up to 32 samples, 40 ms apart.
        rate = 0;
        for (int age = Math.Min(_next, Samples); age > 0; age--)
        {
            var (time, acked) = _samples[(_next - age) % Samples];
            if (now - time > Stopwatch.Frequency * 5 / 4) continue;
            rate = (ledger.Count(TransferCount.Acknowledged) - acked) / Math.Max(Stopwatch.GetElapsedTime(time, now).TotalSeconds, 0.001);
            break;
        }

        return ledger.Count(TransferCount.Acknowledged);
    }
}
