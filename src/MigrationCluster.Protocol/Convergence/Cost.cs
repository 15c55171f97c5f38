namespace MigrationCluster.Protocol.Convergence;

/// <summary>What a step was seen to cost: ms, bytes or bytes per second, as its place says.</summary>
/// <param name="Spread">half of the middle 68 % of what was seen: a standard deviation that outliers do not move.</param>
/// <param name="Count">of what was seen; 0: assumed.</param>
public readonly record struct Cost(double Median, double Spread, int Count = 0)
{
    /// <returns><paramref name="assumed"/> counts as three until there is more to go by.</returns>
    public static Cost Of(IReadOnlyCollection<double> seen, Cost assumed)
    {
        if (seen.Count == 0) return assumed;
        double[] sorted = [.. seen.Order()];
        double median = Quantile(sorted, 0.5);
        double spread = (Quantile(sorted, 0.84) - Quantile(sorted, 0.16)) / 2;
        double trust = seen.Count / (seen.Count + 3.0);
        return new Cost(
            trust * median + (1 - trust) * assumed.Median, trust * spread + (1 - trust) * Math.Max(assumed.Spread, median * 0.3), seen.Count);
    }

    /// <param name="sorted">at least one.</param>
    public static double Quantile(ReadOnlySpan<double> sorted, double share)
    {
        double at = share * (sorted.Length - 1);
        int below = (int)at;
        return below + 1 < sorted.Length ? sorted[below] + (at - below) * (sorted[below + 1] - sorted[below]) : sorted[^1];
    }
}
