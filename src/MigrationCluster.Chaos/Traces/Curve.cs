namespace MigrationCluster.Chaos.Traces;

/// <summary>A sum over time that only grows: bytes written, bytes carried.</summary>
internal sealed class Curve
{
    private readonly double[] _sums; // at the beginning of each slot, and at the end of all

    /// <param name="rates">bytes per second in each slot.</param>
    public Curve(IReadOnlyList<double> rates)
    {
        _sums = new double[rates.Count + 1];
        for (int i = 0; i < rates.Count; i++) _sums[i + 1] = _sums[i] + rates[i] * GuestTrace.SlotSeconds;
    }

    public double At(double seconds)
    {
        double at = Math.Clamp(seconds / GuestTrace.SlotSeconds, 0, _sums.Length - 1);
        int slot = Math.Min((int)at, _sums.Length - 2);
        return _sums[slot] + (at - slot) * (_sums[slot + 1] - _sums[slot]);
    }

    /// <summary>When the sum is reached; after the end: as if it went on as at the end.</summary>
    public double Reach(double sum)
    {
        if (sum >= _sums[^1])
            return (_sums.Length - 1) * GuestTrace.SlotSeconds + (sum - _sums[^1]) / Math.Max(1, (_sums[^1] - _sums[^2]) / GuestTrace.SlotSeconds);
        int slot = Array.BinarySearch(_sums, sum);
        if (slot >= 0) return slot * GuestTrace.SlotSeconds;
        slot = ~slot - 1;
        return (slot + (sum - _sums[slot]) / (_sums[slot + 1] - _sums[slot])) * GuestTrace.SlotSeconds;
    }
}
