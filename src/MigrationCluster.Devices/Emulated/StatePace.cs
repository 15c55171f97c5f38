using System.Diagnostics;

namespace MigrationCluster.Devices.Emulated;

/// <summary>How fast a device saves or loads its state: hardware is often slower than memory, and a migration has to bear it.</summary>
/// <remarks>Hardware works on out of buffers of its own while its next command is on the way, so up to <see cref="Ahead"/> of a pause between two
/// is caught up; what is longer is lost.</remarks>
/// <param name="mibPerSecond">0: as fast as it can.</param>
internal sealed class StatePace(ulong mibPerSecond)
{
    private readonly double _ticksPerByte = mibPerSecond == 0 ? 0 : Stopwatch.Frequency / (mibPerSecond * 1048576.0);
    private static readonly double Ahead = Stopwatch.Frequency * 0.01;

    private double _due;

    /// <summary>Ends when that many more bytes would have gone through the hardware. One caller at a time.</summary>
    public async ValueTask PassAsync(int bytes, CancellationToken cancellationToken)
    {
        if (_ticksPerByte == 0 || bytes == 0) return;
        double now = Stopwatch.GetTimestamp();
        _due = Math.Max(_due, now - Ahead) + bytes * _ticksPerByte;
        var wait = TimeSpan.FromSeconds((_due - now) / Stopwatch.Frequency);
        if (wait > TimeSpan.FromMilliseconds(1)) await Task.Delay(wait, cancellationToken);
    }
}
