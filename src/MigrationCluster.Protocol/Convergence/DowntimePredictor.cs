namespace MigrationCluster.Protocol.Convergence;

/// <summary>
/// The downtime of a switchover that begins now:
/// <code>
///   quiesce + stop                   the slowest device, by model
/// + final-bitmap
/// + final-pages   W / B              W: what is dirty now, and what is written until the machine stands still
/// + device-state                     what the slowest device, or all of them on one link, takes beyond the pages: they go side by side
/// + load                             what the device that is loaded last takes beyond all that is sent, and the manifest: devices load while pages flow
/// + verify + yield + commit + resume
/// </code>
/// Each step has a median and a spread, learned or fitted. Their sum is corrected by how earlier predictions were off, in their own
/// standard deviations: quantiles of what happened, whatever its distribution is (split conformal prediction, normalised).
/// </summary>
public static class DowntimePredictor
{
    private const double Normal95 = 1.645;
    private const double LeastRelativeSigma = 0.04, LeastSigmaMs = 2;

    /// <summary>A day: no blackout that long is ever tried.</summary>
    private const double EndlessMs = 86_400_000;

    /// <param name="passes">the oldest first; at least one.</param>
    public static DowntimePrediction Predict(IReadOnlyList<PassObservation> passes, LearnedCosts costs) =>
        Predict(passes, costs, Pages(passes), null);

    /// <summary>As if pre-copy had gone on until nothing is gained by it.</summary>
    /// <param name="dmaOnly">as if the vCPUs wrote nothing.</param>
    public static DowntimePrediction Reachable(IReadOnlyList<PassObservation> passes, LearnedCosts costs, bool dmaOnly = false)
    {
        var (pages, devices) = (dmaOnly ? Dma(passes) : Pages(passes), DeviceState(passes));
        double bandwidth = BandwidthEstimate.Of(passes, passes[^1].Capped).BytesPerSecond;
        if (bandwidth <= 0) return Predict(passes, costs, pages, null);
        double overhead = PassOverhead(passes);
        double seconds = passes[^1].Duration.TotalSeconds;
        for (int step = 0; step < 40; step++) seconds = overhead + Math.Min((pages.At(seconds) + devices.At(seconds)) / bandwidth, 3600);
        return Predict(passes, costs, pages, seconds);
    }

    /// <summary>What the next pass would leave, as seen from the last.</summary>
    public static (DowntimePrediction Prediction, long Bytes, TimeSpan Duration) AfterAnotherPass(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs)
    {
        var last = passes[^1];
        var (pages, devices) = (Pages(passes), DeviceState(passes));
        double bandwidth = BandwidthEstimate.Of(passes, last.Capped).BytesPerSecond;
        if (bandwidth <= 0) return (Predict(passes, costs, pages, null), last.RemainingBytes, last.Duration);
        double seconds = PassOverhead(passes) + last.RemainingBytes / bandwidth;
        return (Predict(passes, costs, pages, seconds), (long)(pages.At(seconds) + devices.At(seconds)), TimeSpan.FromSeconds(seconds));
    }

    /// <summary>How long one device's final state takes by itself, as the last pass left it.</summary>
    public static double FinalStateMs(IReadOnlyList<PassObservation> passes, DevicePass device, LearnedCosts costs)
    {
        var cost = costs.OfModel(device.Model);
        double rate = Rate(passes, device.Name, cost), bytes = device.InitialBytes + device.DirtyBytes + cost.FinalBytes.Median;
        return cost.Final.Median + (rate > 0 ? bytes / rate * 1000 : bytes / (1 << 20));
    }

    /// <summary>Of RAM, by vCPUs and devices.</summary>
    internal static DirtyCurve Pages(IReadOnlyList<PassObservation> passes) => Fit(passes, pass => pass.PageBytes);

    internal static DirtyCurve Dma(IReadOnlyList<PassObservation> passes) => Fit(passes, pass => pass.DmaBytes);

    internal static DirtyCurve DeviceState(IReadOnlyList<PassObservation> passes) => Fit(passes, pass => pass.DeviceBytes);

    /// <param name="passSeconds">what the last pass before the blackout takes; null: it is the last that was seen.</param>
    private static DowntimePrediction Predict(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, DirtyCurve pages, double? passSeconds)
    {
        var last = passes[^1];
        var bandwidth = BandwidthEstimate.InBlackout(passes, costs);
        var sum = new Sum();
        sum.Add("quiesce", Slowest(last, costs, device => device.Quiesce));
        sum.Add("stop", Slowest(last, costs, device => device.Stop));
        sum.Add("final-bitmap", costs.Bitmap);

        double delay = costs.SwitchDelay.Median / 1000;
        double dirty = passSeconds is { } seconds ? pages.At(seconds + delay) : Grown(pages, last.Duration.TotalSeconds, delay, last.PageBytes);
        var devices = Devices(passes, costs, passSeconds);
        if (dirty > 0 && bandwidth.BytesPerSecond <= 0) return Endless(sum, (long)dirty);
        double cold = last.PageBytes > 0 ? Math.Min(1, (double)last.ColdBytes / last.PageBytes) : 0;
        double pagesMs = dirty == 0 ? 0 : dirty / bandwidth.BytesPerSecond * 1000 + dirty * cold * costs.FirstTouchSecondsPerByte * 1000;
        double relative = Math.Sqrt(bandwidth.Spread * bandwidth.Spread + (passSeconds is null ? 0.25 : 1) * pages.Spread * pages.Spread);
        sum.Add("final-pages", new Cost(costs.Pages.Median + pagesMs, Math.Sqrt(Square(costs.Pages.Spread) + Square(pagesMs * relative))));

        // Side by side: what the slowest device, or the link for all bytes together, takes beyond the pages.
        double deviceBytes = devices.Sum(device => device.Bytes);
        double link = bandwidth.BytesPerSecond > 0 ? (dirty + deviceBytes) / bandwidth.BytesPerSecond * 1000 : 0;
        double slowest = Math.Max(link, devices.Select(device => device.Ms).DefaultIfEmpty().Max());
        double pagesEnd = costs.Pages.Median + pagesMs, beyond = Math.Max(0, slowest - pagesEnd);
        double spread = devices.Count == 0 ? 0 : devices.MaxBy(device => device.Ms).Spread;
        sum.Add("device-state", new Cost(beyond, slowest > 0 ? Math.Min(spread, slowest) * Math.Min(1, beyond / slowest + 0.2) : 0));
        var (waits, off) = devices.Select(device => (Ms: device.Ms + device.Load.Median - pagesEnd - beyond, device.Load.Spread)).DefaultIfEmpty().Max();
        sum.Add("load", new Cost(costs.Load.Median + Math.Max(0, waits), Math.Sqrt(Square(costs.Load.Spread) + Square(waits > 0 ? off : 0))));
        sum.Add("verify", costs.Verify);
        sum.Add("yield", costs.Yield);
        sum.Add("commit", costs.Commit);
        sum.Add("resume", costs.Resume);
        if (sum.MedianMs > EndlessMs) return Endless(sum, (long)(dirty + deviceBytes));
        double sigma = Math.Max(Math.Sqrt(sum.Variance), LeastSigmaMs + LeastRelativeSigma * sum.MedianMs);
        var errors = costs.Errors;
        return new DowntimePrediction(
            At(sum.MedianMs, sigma, errors.P50), At(sum.MedianMs, sigma, errors.P95), At(sum.MedianMs, sigma, errors.P99), sum.Components,
            sum.MedianMs, sigma, (long)(dirty + deviceBytes));
    }

    private static TimeSpan At(double medianMs, double sigmaMs, double quantile) =>
        TimeSpan.FromMilliseconds(Math.Clamp(medianMs + quantile * sigmaMs, 0, EndlessMs));

    /// <summary>What is dirty now stays so, and more comes until the machine stands still; a hot set is dirty already.</summary>
    private static double Grown(DirtyCurve curve, double seconds, double more, long bytes)
    {
        double now = curve.At(seconds);
        return now > 0 ? Math.Max(bytes, bytes * curve.At(seconds + more) / now) : bytes;
    }

    /// <summary>Of each device the bytes of its final state, ms until they have left, their spread, and how long it loads from then on.</summary>
    private static List<(double Bytes, double Ms, double Spread, Cost Load)> Devices(
        IReadOnlyList<PassObservation> passes, LearnedCosts costs, double? passSeconds)
    {
        var last = passes[^1];
        var devices = new List<(double, double, double, Cost)>();
        foreach (var device in last.Devices ?? [])
        {
            var cost = costs.OfModel(device.Model);
            double dirty = device.InitialBytes + device.DirtyBytes;
            if (passSeconds is { } seconds)
            {
                var curve = Fit(passes, pass => pass.Devices?.FirstOrDefault(other => other.Name == device.Name) is { } seen
                    ? seen.InitialBytes + seen.DirtyBytes : 0);
                dirty = curve.At(seconds + costs.SwitchDelay.Median / 1000);
            }

            double bytes = dirty + cost.FinalBytes.Median;
            double rate = Rate(passes, device.Name, cost);
            double ms = Math.Max(0, cost.Final.Median + (rate > 0 ? bytes / rate * 1000 : 0));
            double off = rate > 0 ? (cost.FinalBytes.Spread + dirty * 0.2) / rate * 1000 : 0;
            devices.Add((bytes, ms, Math.Sqrt(Square(cost.Final.Spread) + Square(off)), cost.Load));
        }

        return devices;
    }

    /// <summary>As this very device went in its largest pass, else as its model did; 0: nothing is known but the link.</summary>
    private static double Rate(IReadOnlyList<PassObservation> passes, string name, DeviceCost cost) =>
        PassRate(passes, name) is > 0 and var seen ? seen : cost.BytesPerSecond;

    /// <summary>Bytes per second of a device in its largest pass that kept to no limit; 0: none tells. Pages went beside it, so it may well be capable of more.</summary>
    public static double PassRate(IReadOnlyList<PassObservation> passes, string name)
    {
        const long telling = 4 << 20;
        var seen = passes.Where(pass => !pass.Capped).SelectMany(pass => pass.Devices ?? []).Where(device => device.Name == name && device.SentBytes >= telling)
            .MaxBy(device => device.SentBytes);
        return seen is { SendTime.Ticks: > 0 } ? seen.SentBytes / seen.SendTime.TotalSeconds : 0;
    }

    private static Cost Slowest(PassObservation last, LearnedCosts costs, Func<DeviceCost, Cost> step)
    {
        var devices = (last.Devices ?? []).Select(device => step(costs.OfModel(device.Model))).ToList();
        return devices.Count == 0 ? step(DeviceCost.Assumed("")) : devices.MaxBy(cost => cost.Median + cost.Spread);
    }

    private static DirtyCurve Fit(IReadOnlyList<PassObservation> passes, Func<PassObservation, long> bytes)
    {
        // What was dirtied under another throttle says nothing of this one.
        int throttle = passes[^1].ThrottlePercent;
        return DirtyCurve.Fit([.. passes.Where(pass => pass.ThrottlePercent == throttle).TakeLast(6)
            .Select(pass => (pass.Duration.TotalSeconds, (double)bytes(pass)))]);
    }

    /// <summary>A pass takes this long however little it sends: the shortest that was seen, if it sent next to nothing.</summary>
    private static double PassOverhead(IReadOnlyList<PassObservation> passes)
    {
        const long little = 4 << 20;
        var small = passes.Where(pass => pass.SentBytes < little).Select(pass => pass.Duration.TotalSeconds).ToList();
        return small.Count > 0 ? Math.Min(small.Min(), 0.05) : 0.01;
    }

    private static DowntimePrediction Endless(Sum sum, long bytes) => new(
        TimeSpan.MaxValue, TimeSpan.MaxValue, TimeSpan.MaxValue, sum.Components, double.MaxValue, double.MaxValue, bytes);

    private static double Square(double value) => value * value;

    private sealed class Sum
    {
        public List<PredictedComponent> Components { get; } = [];

        public double MedianMs { get; private set; }

        public double Variance { get; private set; }

        public void Add(string name, Cost cost)
        {
            Components.Add(new PredictedComponent(name, cost.Median, cost.Median + Normal95 * cost.Spread));
            (MedianMs, Variance) = (MedianMs + cost.Median, Variance + Square(cost.Spread));
        }
    }
}
