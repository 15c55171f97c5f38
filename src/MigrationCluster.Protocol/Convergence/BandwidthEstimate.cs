namespace MigrationCluster.Protocol.Convergence;

/// <summary>What the way to the destination takes in a second, and how sure that is.</summary>
/// <param name="BytesPerSecond">0: not known.</param>
/// <param name="Spread">relative standard deviation.</param>
public readonly record struct BandwidthEstimate(double BytesPerSecond, double Spread)
{
    /// <summary>A pass below it says more about latency than about bandwidth.</summary>
    private const long TellingBytes = 4 << 20;
    private const double Fading = 0.7;

    /// <summary>Of the passes; each weighs with the root of its bytes and 0.7 of the one after it.</summary>
    /// <param name="capped">of passes that kept to an operator's limit; else of those that did not.</param>
    public static BandwidthEstimate Of(IReadOnlyList<PassObservation> passes, bool capped)
    {
        var telling = passes.Where(pass => pass.Capped == capped && pass.Duration > TimeSpan.Zero && pass.SentBytes > 0).ToList();
        if (telling.Any(pass => pass.SentBytes >= TellingBytes)) telling.RemoveAll(pass => pass.SentBytes < TellingBytes);
        if (telling.Count == 0) return default;
        double weights = 0, sum = 0, squares = 0;
        for (int i = 0; i < telling.Count; i++)
        {
            double rate = telling[i].SentBytes / telling[i].Duration.TotalSeconds;
            double weight = Math.Sqrt(telling[i].SentBytes) * Math.Pow(Fading, telling.Count - 1 - i);
            (weights, sum, squares) = (weights + weight, sum + weight * rate, squares + weight * rate * rate);
        }

        double mean = sum / weights;
        double deviation = Math.Sqrt(Math.Max(0, squares / weights - mean * mean)) / mean;
        return new BandwidthEstimate(mean, Math.Clamp(deviation + 0.2 / telling.Count, 0.05, 0.6));
    }

    /// <summary>The blackout keeps to no operator's limit, so passes that did say only the least of it; and a machine that stands still takes no core from whoever sends.</summary>
    public static BandwidthEstimate InBlackout(IReadOnlyList<PassObservation> passes, LearnedCosts costs)
    {
        var running = WithoutLimit(passes, costs);
        return running with { BytesPerSecond = running.BytesPerSecond * costs.BlackoutSpeed };
    }

    private static BandwidthEstimate WithoutLimit(IReadOnlyList<PassObservation> passes, LearnedCosts costs)
    {
        var free = Of(passes, capped: false);
        if (free.BytesPerSecond > 0) return free;
        var capped = Of(passes, capped: true);
        double learned = costs.BytesPerSecond.Median;
        return learned > capped.BytesPerSecond
            ? new BandwidthEstimate(learned, Math.Clamp(costs.BytesPerSecond.Spread / learned, 0.1, 0.6))
            : capped;
    }
}
