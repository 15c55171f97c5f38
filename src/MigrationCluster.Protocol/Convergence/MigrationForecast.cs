namespace MigrationCluster.Protocol.Convergence;

/// <summary>A whole migration before it begins: passes as the guest's dirty curve has them, judged by the rule that will judge the real ones.</summary>
/// <param name="TotalP50">from the order until the guest runs on the destination.</param>
/// <param name="Stall">what it would not overcome; null: nothing.</param>
/// <param name="Passes">of pre-copy.</param>
/// <param name="GivesUp">the policy would have it end without moving the guest.</param>
public sealed record MigrationForecast(
    TimeSpan TotalP50, TimeSpan TotalP95, DowntimePrediction Downtime, Stall? Stall, int Passes, bool GivesUp)
{
    /// <summary>What is assumed of a link that nobody has seen anything cross.</summary>
    public const double AssumedBytesPerSecond = 200 << 20;

    private const double Normal95 = 1.645;

    /// <param name="maxBytesPerSecond">an operator's, while the guest runs; null: none.</param>
    public static MigrationForecast Of(GuestLoad guest, LearnedCosts costs, ConvergencePolicy policy, long? maxBytesPerSecond)
    {
        bool known = costs.BytesPerSecond.Median > 0;
        double link = known ? costs.BytesPerSecond.Median : AssumedBytesPerSecond;
        var learned = known ? costs : costs with { BytesPerSecond = new Cost(link, link * 0.5) };
        double rate = Math.Min(link, maxBytesPerSecond ?? double.MaxValue);
        bool capped = rate < link;
        double pages = guest.UsedBytes, seconds = 0, throttle = 0;
        var passes = new List<PassObservation>();
        SwitchoverVerdict verdict;
        do
        {
            bool first = passes.Count == 0;
            var devices = guest.Devices.Select(device => Device(device, learned, first)).ToList();
            double bytes = pages + devices.Sum(device => device.SentBytes);
            double time = 0.02 + Math.Max(bytes / rate, devices.Max(device => (double?)device.SendTime.TotalSeconds) ?? 0);
            pages = Math.Min(guest.UsedBytes, guest.Pages.At(time) * (1 - throttle / 100));
            passes.Add(new PassObservation(
                passes.Count + 1, TimeSpan.FromSeconds(time), (long)bytes, (long)pages, true, 0, 0, (int)throttle, devices, capped));
            seconds += time;
            verdict = SwitchoverRule.Judge(passes, learned, policy);
            throttle = (verdict as IterateAgain)?.ThrottlePercent ?? throttle;
        }
        while (verdict is IterateAgain);

        var downtime = Widened(verdict.Prediction, guest);
        double prepared = costs.Preparation.Median / 1000;
        double off = Math.Sqrt(Math.Pow(costs.Preparation.Spread / 1000, 2) + Math.Pow(seconds * (known ? Math.Max(0.1, costs.BytesPerSecond.Spread / link) : 0.5), 2));
        double total = prepared + seconds + Math.Min(downtime.P50.TotalSeconds, 86_400);
        return new MigrationForecast(
            TimeSpan.FromSeconds(total), TimeSpan.FromSeconds(total + Normal95 * off), downtime, verdict.Stall, passes.Count, verdict is GiveUp);
    }

    private static DevicePass Device(GuestDeviceLoad device, LearnedCosts costs, bool first)
    {
        var cost = costs.OfModel(device.Model);
        double bytes = device.HasPreCopy && first ? cost.InitialBytes.Median : 0;
        double time = bytes > 0 && cost.BytesPerSecond > 0 ? bytes / cost.BytesPerSecond : 0;
        return new DevicePass(device.Name, device.Model, device.HasPreCopy, 0, 0, (long)bytes, TimeSpan.FromSeconds(time));
    }

    /// <summary>Passes that were made up fit their curve too well: how far the curve itself may be off is added.</summary>
    private static DowntimePrediction Widened(DowntimePrediction prediction, GuestLoad guest)
    {
        if (prediction.IsEndless) return prediction;
        double pagesMs = prediction.Components.FirstOrDefault(component => component.Name == "final-pages")?.P50Ms ?? 0;
        double more = pagesMs * guest.Pages.Spread;
        double sigma = Math.Sqrt(prediction.SigmaMs * prediction.SigmaMs + more * more);
        double factor = prediction.SigmaMs > 0 ? sigma / prediction.SigmaMs : 1;
        return prediction with
        {
            P95 = prediction.P50 + (prediction.P95 - prediction.P50) * factor,
            P99 = prediction.P50 + (prediction.P99 - prediction.P50) * factor,
            SigmaMs = sigma,
        };
    }
}
