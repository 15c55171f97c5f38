namespace MigrationCluster.Protocol.Convergence;

/// <summary>What the next blackout between two hosts will cost, by the earlier ones.</summary>
public static class CostLearner
{
    /// <summary>Blackouts of two hosts that are enough to leave all others aside.</summary>
    private const int EnoughOfTheirOwn = 8;
    private const int Most = 40;

    /// <summary>Blackouts that one migration given up takes with it.</summary>
    private const int ForgottenAtOnce = 5;
    private const int AllForgottenEvery = 10;
    private const int EnoughToTell = 3;
    private const double MostSpeed = 4;
    private const double Adapting = 0.03, LeastMissing = 0.002, MostMissing = 0.1;

    /// <summary>Of errors: their tail needs more.</summary>
    private const int MostErrors = 200;

    /// <summary>How much further than from p50 to p95 it may be from there to p99.</summary>
    private const double MostTail = 2;

    /// <summary>Below it final pages say nothing of what first touch costs, and a final state says what a device costs without bytes, above it at which rate they go.</summary>
    private const long TellingBytes = 4 << 20;

    /// <summary>Before there are enough, errors are as if these had been seen: quantiles of a skewed distribution.</summary>
    private static readonly double[] PriorErrors = [.. Enumerable.Range(0, 20).Select(i => Skewed((i + 0.5) / 20))];

    /// <param name="records">of the whole cluster, the oldest first.</param>
    public static LearnedCosts Learn(IReadOnlyList<BlackoutRecord> records, string source, string destination)
    {
        var assumed = LearnedCosts.Assumed;
        if (records.Count == 0) return assumed;
        var seen = LearnedFrom(records, source, destination);
        var bandwidth = seen.Where(record => record.BytesPerSecond > 0).Select(record => record.BytesPerSecond).ToList();
        double rate = bandwidth.Count > 0 ? Cost.Quantile([.. bandwidth.Order()], 0.5) : 0;
        double speed = BlackoutSpeed(seen), firstTouch = FirstTouch(seen, speed, assumed.FirstTouchSecondsPerByte);
        var pages = Cost.Of([.. seen.Select(record => PagesBeyondBytes(record, speed, firstTouch))], assumed.Pages);
        var learned = new LearnedCosts(
            Cost.Of([.. seen.Select(record => record.SwitchDelay)], assumed.SwitchDelay),
            Cost.Of([.. seen.Where(record => record.Bitmap is not null).Select(record => record.Bitmap!.Value)], assumed.Bitmap),
            pages with { Median = Math.Max(0, pages.Median) },
            Cost.Of([.. seen.Select(LoadBeyondDevices)], assumed.Load),
            Cost.Of([.. seen.Select(record => record.Verify)], assumed.Verify),
            Cost.Of([.. seen.Select(record => record.Yield)], assumed.Yield),
            Cost.Of([.. seen.Select(record => record.Commit)], assumed.Commit),
            Cost.Of([.. seen.Select(record => record.Resume)], assumed.Resume),
            [.. seen.SelectMany(record => record.Devices).GroupBy(device => device.Model).OrderBy(model => model.Key, StringComparer.Ordinal).Select(OfModel)],
            bandwidth.Count > 0 ? new Cost(rate, Cost.Of(bandwidth, new Cost(rate, rate * 0.3)).Spread, bandwidth.Count) : default,
            firstTouch, speed,
            assumed.Errors, seen.Count,
            Cost.Of([.. seen.Where(record => record.Preparation is not null).Select(record => record.Preparation!.Value)], assumed.Preparation));
        return learned with { Errors = Errors(records, LeastSigma(learned)) };
    }

    /// <summary>
    /// What is left to learn from after a migration between two hosts was given up for what earlier blackouts had cost: without the longest of them. It has not
    /// found out whether they still cost as much, and neither would any that came after it. The shortest eight stay: what not even they leave time for is not tried,
    /// but for every tenth time in a row, when all that these two are judged by go: a few that a fault has made long could be all there are.
    /// </summary>
    /// <param name="records">of the whole cluster, the oldest first; so is the result.</param>
    /// <param name="inARow">given up so without a blackout in between, this one included.</param>
    public static IReadOnlyList<BlackoutRecord> Forget(IReadOnlyList<BlackoutRecord> records, string source, string destination, int inARow)
    {
        var seen = LearnedFrom(records, source, destination);
        int most = inARow % AllForgottenEvery == 0 ? seen.Count : Math.Min(ForgottenAtOnce, seen.Count - EnoughOfTheirOwn);
        var longest = new HashSet<BlackoutRecord>(seen.OrderByDescending(record => record.Total).Take(most), ReferenceEqualityComparer.Instance);
        return [.. records.Where(record => !longest.Contains(record))];
    }

    private static List<BlackoutRecord> LearnedFrom(IReadOnlyList<BlackoutRecord> records, string source, string destination)
    {
        var theirs = records.Where(record => record.Source == source && record.Destination == destination).ToList();
        return [.. (theirs.Count >= EnoughOfTheirOwn ? theirs : records).TakeLast(Most)];
    }

    /// <summary>The deviation, in ms, that a blackout without bytes is predicted with now: any other is predicted with at least as much.</summary>
    private static double LeastSigma(LearnedCosts costs) => Math.Sqrt(
        ((Cost[])[costs.Bitmap, costs.Pages, costs.Load, costs.Verify, costs.Yield, costs.Commit, costs.Resume]).Sum(cost => cost.Spread * cost.Spread));

    private static double PagesBeyondBytes(BlackoutRecord record, double speed, double firstTouch) => record.BytesPerSecond <= 0 ? record.Pages
        : record.Pages - record.PageBytes / (record.BytesPerSecond * speed) * 1000 - record.ColdBytes * firstTouch * 1000;

    /// <summary>Devices load while pages and other devices' state still flow.</summary>
    private static double LoadBeyondDevices(BlackoutRecord record)
    {
        double sent = record.Devices.Select(device => device.FinalMs).Append(record.Pages).Max();
        double loaded = record.Devices.Select(device => device.FinalMs + device.LoadMs).Append(sent).Max();
        return Math.Max(0, record.Load - (loaded - sent));
    }

    /// <summary>Of final pages that were mostly warm; 1 until a few blackouts had some.</summary>
    private static double BlackoutSpeed(List<BlackoutRecord> seen)
    {
        double few = Cost.Of([.. seen.Where(record => record.PageBytes < TellingBytes).Select(record => record.Pages)], LearnedCosts.Assumed.Pages).Median;
        var warm = seen.Where(record => record.BytesPerSecond > 0 && record.PageBytes >= TellingBytes && record.ColdBytes < record.PageBytes / 8)
            .Select(record => record.PageBytes / record.BytesPerSecond * 1000 / Math.Max(1, record.Pages - few)).Order().ToArray();
        return warm.Length < EnoughToTell ? 1 : Math.Clamp(Cost.Quantile(warm, 0.5), 1 / MostSpeed, MostSpeed);
    }

    /// <summary>Seconds a byte beyond what sending takes, of final pages that the destination had never written; as assumed until a few blackouts had some.</summary>
    private static double FirstTouch(List<BlackoutRecord> seen, double speed, double assumed)
    {
        var cold = seen.Where(record => record.BytesPerSecond > 0 && record.ColdBytes >= TellingBytes)
            .Select(record => Math.Max(0, record.Pages / 1000 - record.PageBytes / (record.BytesPerSecond * speed)) / record.ColdBytes).Order().ToArray();
        return cold.Length < EnoughToTell ? assumed : Cost.Quantile(cold, 0.5);
    }

    private static DeviceCost OfModel(IGrouping<string, DeviceBlackout> model)
    {
        var assumed = DeviceCost.Assumed(model.Key);
        var rates = model.Where(device => device.FinalBytes >= TellingBytes)
            .Select(device => device.FinalBytes / Math.Max(0.001, (device.FinalMs - assumed.Final.Median) / 1000)).Order().ToArray();
        double rate = rates.Length > 0 ? Cost.Quantile(rates, 0.5) : 0;
        var small = model.Where(device => device.FinalBytes < TellingBytes).Select(device => BeyondBytes(device, rate)).ToList();
        var final = small.Count > 0 ? Cost.Of(small, assumed.Final) : assumed.Final;
        var beyond = model.Select(device => (double)Math.Max(0, device.FinalBytes - device.KnownBytes)).ToList();
        return new DeviceCost(
            model.Key,
            Step(model, device => device.QuiesceMs, assumed.Quiesce),
            Step(model, device => device.StopMs, assumed.Stop),
            Cost.Of([.. model.Select(device => (double)device.InitialBytes)], new Cost(Cost.Quantile([.. model.Select(device => (double)device.InitialBytes).Order()], 0.5), 0)),
            Cost.Of(beyond, new Cost(Cost.Quantile([.. beyond.Order()], 0.5), assumed.FinalBytes.Spread)),
            final,
            Cost.Of([.. model.Select(device => device.LoadMs)], assumed.Load),
            rate);
    }

    /// <summary>By the rate that the next prediction takes its bytes to go at. Less than 0 where pages beside it made its passes slower than it is.</summary>
    private static double BeyondBytes(DeviceBlackout device, double modelRate)
    {
        double rate = device.PassBytesPerSecond > 0 ? device.PassBytesPerSecond : modelRate;
        return device.FinalMs - (rate > 0 ? device.FinalBytes / rate * 1000 : 0);
    }

    /// <summary>A step that none of a model's devices was ever asked for costs nothing.</summary>
    private static Cost Step(IEnumerable<DeviceBlackout> model, Func<DeviceBlackout, double?> step, Cost assumed)
    {
        double[] took = [.. model.Select(step).OfType<double>()];
        return took.Length == 0 ? default : Cost.Of(took, assumed);
    }

    /// <summary>The smallest error that as large a share of one more would not exceed (the finite-sample rank of conformal prediction).</summary>
    /// <param name="least">deviation of today, in ms. One that was predicted as smaller, before blackouts went wrong that have widened it, is taken for as large:
    /// else what went wrong would count twice, as many deviations and as a wide one.</param>
    private static ErrorQuantiles Errors(IReadOnlyList<BlackoutRecord> records, double least)
    {
        var predicted = records.Where(record => record.Predicted is { SigmaMs: > 0 }).TakeLast(MostErrors).ToList();
        var seen = predicted.ConvertAll(record => (record.Total - record.Predicted!.Value.MedianMs) / Math.Max(least, record.Predicted.Value.SigmaMs));
        int count = seen.Count;
        // The prior fades as what was seen takes its place.
        int prior = Math.Max(0, PriorErrors.Length - count / 2);
        for (int i = 0; i < prior; i++) seen.Add(PriorErrors[i * PriorErrors.Length / prior]);
        seen.Sort();
        double p50 = Rank(seen, 0.5), p95 = Rank(seen, 1 - Missing(predicted));
        // Of a hundred the 99th is the largest but one: a single blackout that went wrong must not hold the next hundred back.
        double p99 = Math.Clamp(Rank(seen, 0.99) + (count < 100 ? 1 : 0), p95, p95 + MostTail * (p95 - p50) + 1);
        return new ErrorQuantiles(p50, p95, p99, count);
    }

    /// <summary>
    /// The share of errors to leave out so that p95 covers 95 of 100, even where blackouts are not alike from one hour to the next: each that p95 did not
    /// cover lessens it, each that it did raises it by a nineteenth of that (adaptive conformal inference, Gibbs and Candès 2021).
    /// </summary>
    private static double Missing(List<BlackoutRecord> predicted)
    {
        double missing = 0.05;
        foreach (var record in predicted)
            missing = Math.Clamp(missing + Adapting * (0.05 - (record.Total > record.Predicted!.Value.P95Ms ? 1 : 0)), LeastMissing, MostMissing);
        return missing;
    }

    private static double Rank(List<double> sorted, double share)
    {
        double at = share * (sorted.Count + 1) - 1;
        if (at >= sorted.Count - 1) return sorted[^1];
        int below = Math.Max(0, (int)at);
        return sorted[below] + Math.Clamp(at - below, 0, 1) * (sorted[below + 1] - sorted[below]);
    }

    /// <summary>Of a logistic distribution whose upper half is half again as wide.</summary>
    private static double Skewed(double share) => Math.Log(share / (1 - share)) * 0.55 * (share > 0.5 ? 1.5 : 1);
}
