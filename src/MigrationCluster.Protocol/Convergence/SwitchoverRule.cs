namespace MigrationCluster.Protocol.Convergence;

/// <summary>
/// When to stop iterating, from what the passes showed and what earlier blackouts cost. The machine is paused when
/// <list type="number">
/// <item>every PRE_COPY device's initial bytes are loaded at the destination, and it said so,</item>
/// <item>the predicted p99 of the whole downtime fits the limit, and</item>
/// <item>one more pass would cost more than it gains: the limit is a bound, not a budget.</item>
/// </list>
/// Whether it can fit at all follows from the second pass on: what pre-copy comes to if it goes on for ever is the fixed point of
/// "what is dirtied while what was dirtied is sent". If that does not fit, it is said what is in the way, and the policy decides.
/// </summary>
public static class SwitchoverRule
{
    /// <summary>A pass is worth it if the share of the limit that it saves is more than this many times the share that it adds to all
    /// that was sent.</summary>
    private const double BytesWeight = 4;

    /// <summary>Of the limit; what saves less is not worth a pass.</summary>
    private const double LeastGain = 0.02;

    /// <summary>An abort waits for as many passes and as long, in which the guest may change its ways.</summary>
    private const int PatientPasses = 3;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(3);

    private const int ThrottleStep = 10, MostThrottle = 99;

    /// <param name="passes">all of this pre-copy, the oldest first; at least one.</param>
    /// <param name="elapsed">since pre-copy began; null: as long as the passes took.</param>
    public static SwitchoverVerdict Judge(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy, TimeSpan? elapsed = null)
    {
        var last = passes[^1];
        var prediction = DowntimePredictor.Predict(passes, costs);
        bool over = last.Iteration >= policy.MaxIterations || (elapsed ?? Total(passes)) >= policy.MaxTime;
        if (!last.InitialBytesLoaded)
            return over
                ? new GiveUp($"a device's initial bytes were not loaded by the destination in {Passes(last.Iteration)}", prediction)
                : new IterateAgain(prediction, null, last.ThrottlePercent);
        if (Fits(prediction, policy))
            return !over && IsWorthAnother(passes, prediction, costs, policy)
                ? new IterateAgain(prediction, null, last.ThrottlePercent)
                : new SwitchNow(prediction);

        var stall = FindStall(passes, costs, policy);
        if (over) return End(prediction, stall, policy, Limit(last, policy, prediction));
        if (stall is null) return new IterateAgain(prediction, null, last.ThrottlePercent);
        return policy.OnStall switch
        {
            // As short as it can be had: as soon as another pass does not help any more.
            StallAction.Switch when !Helps(passes, prediction, costs) => new SwitchNow(prediction, stall),
            StallAction.Switch => new IterateAgain(prediction, stall, last.ThrottlePercent),
            StallAction.Throttle when stall.ThrottlePercent is { } percent => new IterateAgain(
                prediction, stall, Math.Clamp(Math.Max(percent, last.ThrottlePercent + ThrottleStep), ThrottleStep, MostThrottle)),
            _ when HasBeenPatient(passes, costs, policy) => new GiveUp(stall.ToString(), prediction, stall),
            _ => new IterateAgain(prediction, stall, last.ThrottlePercent),
        };
    }

    /// <summary>What pre-copy cannot overcome; null: it can, or nobody knows yet (one pass does not tell).</summary>
    public static Stall? FindStall(IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy)
    {
        if (passes.Count < 2) return null;
        var reachable = DowntimePredictor.Reachable(passes, costs);
        return Fits(reachable, policy) ? null : StallFinder.Explain(passes, costs, policy, reachable);
    }

    internal static bool Fits(DowntimePrediction prediction, ConvergencePolicy policy) => prediction.P99 <= policy.MaxDowntime;

    private static bool IsWorthAnother(
        IReadOnlyList<PassObservation> passes, DowntimePrediction now, LearnedCosts costs, ConvergencePolicy policy)
    {
        // Whatever the curve says: the last pass has left no less than the one before it.
        if (passes.Count >= 2 && passes[^1].RemainingBytes > passes[^2].RemainingBytes * 0.9) return false;
        var (after, bytes, _) = DowntimePredictor.AfterAnotherPass(passes, costs);
        double gain = (now.P50 - after.P50) / policy.MaxDowntime;
        double cost = (double)bytes / Math.Max(1, passes.Sum(pass => pass.SentBytes));
        return gain > LeastGain && gain > cost * BytesWeight;
    }

    private static bool Helps(IReadOnlyList<PassObservation> passes, DowntimePrediction now, LearnedCosts costs) =>
        DowntimePredictor.AfterAnotherPass(passes, costs).Prediction.P50 < now.P50 * 0.9;

    private static bool HasBeenPatient(IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy)
    {
        if (passes.Count < PatientPasses + 1) return false;
        var waited = TimeSpan.Zero;
        for (int count = passes.Count; count >= 2; count--)
        {
            if (FindStall([.. passes.Take(count)], costs, policy) is null) return false;
            waited += passes[count - 1].Duration;
            if (passes.Count - count + 1 >= PatientPasses && waited >= Patience) return true;
        }

        return false;
    }

    private static SwitchoverVerdict End(DowntimePrediction prediction, Stall? stall, ConvergencePolicy policy, string reason) =>
        policy.OnStall == StallAction.Switch && !prediction.IsEndless
            ? new SwitchNow(prediction, stall)
            : new GiveUp(stall is null ? reason : $"{reason}: {stall}", prediction, stall);

    private static string Limit(PassObservation last, ConvergencePolicy policy, DowntimePrediction prediction) =>
        $"after {Passes(last.Iteration)} {last.RemainingBytes >> 20} MiB are still dirty: predicted downtime " +
        $"{(prediction.IsEndless ? "without end" : $"{prediction.P50.TotalMilliseconds:F0} ms (p99 {prediction.P99.TotalMilliseconds:F0} ms)")} " +
        $"exceeds {policy.MaxDowntime.TotalMilliseconds:F0} ms";

    private static string Passes(int count) => count == 1 ? "1 pass" : $"{count} passes";

    private static TimeSpan Total(IReadOnlyList<PassObservation> passes) => TimeSpan.FromTicks(passes.Sum(pass => pass.Duration.Ticks));
}
