namespace MigrationCluster.Protocol.Convergence;

/// <summary>Names what keeps pre-copy from its limit, and works out what each remedy would do.</summary>
internal static class StallFinder
{
    private const double MiB = 1 << 20;

    /// <param name="reachable">what going on for ever comes to; does not fit.</param>
    public static Stall Explain(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy, DowntimePrediction reachable)
    {
        var last = passes[^1];
        double limit = policy.MaxDowntime.TotalMilliseconds, held = reachable.P99.TotalMilliseconds;
        var bandwidth = BandwidthEstimate.Of(passes, last.Capped);
        // What no pass can lessen: everything but pages and device bytes.
        var still = DowntimePredictor.Predict([.. passes.SkipLast(1), Idle(last)], costs);
        double fixedMs = still.P99.TotalMilliseconds;
        var (cause, bottleneck) = Find(passes, costs, reachable, limit, fixedMs, bandwidth);
        int? percent = cause is StallCause.FixedCosts or StallCause.SlowDevice ? null : Throttle(passes, costs, policy);
        return new Stall(cause, bottleneck, held, [.. Remedies(passes, costs, policy, held, fixedMs, bandwidth, cause, percent)], percent);
    }

    private static (StallCause, string) Find(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, DowntimePrediction reachable, double limit, double fixedMs, BandwidthEstimate bandwidth)
    {
        var last = passes[^1];
        double pagesMs = Of(reachable, "final-pages") - costs.Pages.Median, beyond = Of(reachable, "device-state");
        if ((last.Devices ?? []).FirstOrDefault(device => !device.TracksDirty) is { } blind && pagesMs > beyond)
            return (StallCause.NoDirtyTracking,
                $"{blind.Name} has no dirty log: every page that it may write counts as dirty in every pass, {last.PageBytes / MiB:F0} MiB");
        // The slowest device by itself decides, whether its state is large or it loads slowly.
        if (beyond > pagesMs && beyond > limit / 4
            && (last.Devices ?? []).MaxBy(device => DowntimePredictor.FinalStateMs(passes, device, costs)) is { } slow)
            return (StallCause.SlowDevice,
                $"{slow.Name} ({slow.Model}) takes {beyond:F0} ms beyond the pages for its final state: it saves, or loads at the destination, that slowly");
        if (fixedMs > limit)
            return (StallCause.FixedCosts,
                $"barriers, votes and the decision alone take {fixedMs:F0} ms between these hosts, with nothing left to send");
        double dirtied = DowntimePredictor.Pages(passes).At(1) + DowntimePredictor.DeviceState(passes).At(1);
        string rates = $"{dirtied / MiB:F0} MiB are dirtied in a second, {bandwidth.BytesPerSecond / MiB:F0} MiB/s are sent";
        return last.Capped && costs.BytesPerSecond.Median > bandwidth.BytesPerSecond
            ? (StallCause.CappedLink, $"the passes keep to an operator's bandwidth: {rates}")
            : (StallCause.DirtyRate, $"the guest dirties more than the link takes in the time there is: {rates}");
    }

    private static IEnumerable<string> Remedies(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy, double heldMs, double fixedMs,
        BandwidthEstimate bandwidth, StallCause cause, int? throttle)
    {
        if (heldMs < 3_600_000)
            yield return $"raise the limit to {RoundUp(heldMs)} ms: `--max-downtime {RoundUp(heldMs)}ms`";
        else
            yield return "no limit that a guest could bear is enough";
        if (cause == StallCause.FixedCosts) yield break;
        if (cause == StallCause.SlowDevice)
        {
            yield return "slower vCPUs do not help: the time is the device's own";
            yield break;
        }

        if (throttle is { } percent)
            yield return $"slow the vCPUs by {percent} %: `--on-stall throttle`";
        else if (DowntimePredictor.Dma(passes).At(1) is > 0 and var dma)
            yield return $"slower vCPUs do not help: devices write {dma / MiB:F0} MiB in a second by DMA, whatever the vCPUs do";
        else
            yield return "slower vCPUs do not help enough";
        if (Bandwidth(passes, costs, policy, fixedMs) is { } needed && needed > bandwidth.BytesPerSecond)
            yield return $"a link of {Math.Ceiling(needed / MiB):F0} MiB/s would do ({bandwidth.BytesPerSecond / MiB:F0} MiB/s now)";
    }

    /// <summary>The least that does, in steps of 5 %; null: none does, for devices write on.</summary>
    private static int? Throttle(IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy)
    {
        if (!SwitchoverRule.Fits(DowntimePredictor.Reachable(passes, costs, dmaOnly: true), policy)) return null;
        int already = passes[^1].ThrottlePercent;
        for (int percent = 10; percent < 100; percent += 5)
        {
            // Of what the vCPUs wrote, which was under the throttle that there is already.
            double share = (1 - percent / 100.0) / Math.Max(0.01, 1 - already / 100.0);
            if (share >= 1) continue;
            var slower = passes.Select(pass => pass with
            {
                PageBytes = pass.DmaBytes + (long)((pass.PageBytes - pass.DmaBytes) * share),
            }).ToList();
            if (SwitchoverRule.Fits(DowntimePredictor.Reachable(slower, costs), policy)) return percent;
        }

        return 99;
    }

    /// <summary>At which what is dirtied while a pass runs could be sent in what the limit leaves.</summary>
    private static double? Bandwidth(IReadOnlyList<PassObservation> passes, LearnedCosts costs, ConvergencePolicy policy, double fixedMs)
    {
        double left = (policy.MaxDowntime.TotalMilliseconds - fixedMs) / 1000;
        if (left <= 0) return null;
        var (pages, devices) = (DowntimePredictor.Pages(passes), DowntimePredictor.DeviceState(passes));
        double pass = left + costs.SwitchDelay.Median / 1000;
        return (pages.At(pass) + devices.At(pass)) / left;
    }

    private static PassObservation Idle(PassObservation pass) => pass with
    {
        PageBytes = 0,
        DmaBytes = 0,
        ColdBytes = 0,
        Devices = [.. (pass.Devices ?? []).Select(device => device with { InitialBytes = 0, DirtyBytes = 0 })],
    };

    private static double Of(DowntimePrediction prediction, string name) =>
        prediction.Components.FirstOrDefault(component => component.Name == name)?.P50Ms ?? 0;

    private static long RoundUp(double ms) => (long)Math.Ceiling(ms / 10) * 10;
}
