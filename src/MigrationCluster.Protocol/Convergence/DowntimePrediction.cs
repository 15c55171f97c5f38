namespace MigrationCluster.Protocol.Convergence;

/// <summary>The whole downtime, from the machine paused on the source until it is resumed on the destination.</summary>
/// <param name="Components">in order; their medians add up to <paramref name="MedianMs"/>.</param>
/// <param name="MedianMs">as the steps add up, before it is corrected by how earlier predictions were off.</param>
/// <param name="SigmaMs">its standard deviation, by what is known of each step.</param>
/// <param name="FinalBytes">pages and device state that the blackout has to send.</param>
public sealed record DowntimePrediction(
    TimeSpan P50, TimeSpan P95, TimeSpan P99, IReadOnlyList<PredictedComponent> Components, double MedianMs, double SigmaMs, long FinalBytes)
{
    /// <summary>Nothing can be sent, so no blackout would ever end.</summary>
    public bool IsEndless => P99 == TimeSpan.MaxValue;
}

/// <param name="Name">quiesce, stop, final-bitmap, final-pages, device-state, load, verify, yield, commit, resume.</param>
public sealed record PredictedComponent(string Name, double P50Ms, double P95Ms);
