using System.Diagnostics;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>Counts what a session moves; every channel adds to it.</summary>
internal sealed class TransferMeter
{
    private const int Samples = 32;
    private static readonly long SampleTicks = Stopwatch.Frequency / 25;

    private readonly Lock _lock = new();
    private readonly (long Time, long Acked)[] _samples = new (long, long)[Samples];
    private long _pages, _zeros, _devices, _protocol, _acked;
    private int _next;

    internal void AddPages(long bytes) => Interlocked.Add(ref _pages, bytes);

    internal void AddZeros(long bytes) => Interlocked.Add(ref _zeros, bytes);

    internal void AddDevice(long bytes) => Interlocked.Add(ref _devices, bytes);

    internal void AddProtocol(long bytes) => Interlocked.Add(ref _protocol, bytes);

    internal void AddAcked(long bytes)
    {
        if (bytes == 0) return;
        long now = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            ref var last = ref _samples[(_next + Samples - 1) % Samples];
            if (_next == 0 || now - last.Time >= SampleTicks) _samples[_next++ % Samples] = (now, _acked);
            _acked += bytes;
        }
    }

    internal TransferCounters Read() => new(
        Interlocked.Read(ref _pages), Interlocked.Read(ref _zeros), Interlocked.Read(ref _devices),
        Interlocked.Read(ref _protocol), ReadAcked(out double rate), rate);

    private long ReadAcked(out double rate)
    {
        long now = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            // The oldest sample that is not older than about a second: up to 32 samples, 40 ms apart.
            rate = 0;
            for (int age = Math.Min(_next, Samples); age > 0; age--)
            {
                var (time, acked) = _samples[(_next - age) % Samples];
                if (now - time > Stopwatch.Frequency * 5 / 4) continue;
                rate = (_acked - acked) / Math.Max(Stopwatch.GetElapsedTime(time, now).TotalSeconds, 0.001);
                break;
            }
            return _acked;
        }
    }
}
