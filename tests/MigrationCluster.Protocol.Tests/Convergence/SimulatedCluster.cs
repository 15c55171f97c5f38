using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Protocol.Tests.Convergence;

/// <summary>
/// Migrations of made-up guests between made-up hosts, by seed. What is true (how a guest writes, what steps cost, how the link varies) is
/// drawn here and shown to nobody; the rule and the predictor see passes and past blackouts, as they do in the product.
/// </summary>
internal sealed class SimulatedCluster(int seed)
{
    private const double MiB = 1 << 20, Eased = 1.3;
    private static readonly string[] Hosts = ["alpha", "beta", "gamma"];

    private readonly Random _random = new(seed);
    private readonly List<BlackoutRecord> _records = [];

    public IReadOnlyList<BlackoutRecord> Records => _records;

    /// <summary>One migration, from its first pass to its end.</summary>
    public Run Migrate(ConvergencePolicy policy)
    {
        string source = Hosts[_random.Next(Hosts.Length)], destination = Hosts[_random.Next(Hosts.Length)];
        var costs = CostLearner.Learn(_records, source, destination);
        double memory = Between(128, 4096) * MiB, link = Between(300, 900) * MiB;
        double set = memory * Between(0.002, 0.15), tau = Between(0.02, 1.5), rate = _random.Next(3) == 0 ? Between(0, 150) * MiB : Between(0, 20) * MiB;
        double device = _random.Next(2) == 0 ? Between(0.1, 24) * MiB : 0, deviceRate = Between(200, 500) * MiB;
        var passes = new List<PassObservation>();
        double pages = memory * Between(0.3, 1), elapsed = 0;
        int? declared = null;
        while (true)
        {
            bool first = passes.Count == 0;
            double speed = link * Noise(0.12), sent = pages + (first ? device : 0);
            double seconds = 0.01 * Noise(0.4) + sent / speed;
            double dirty = Math.Min(memory, Written(seconds) * Noise(0.08));
            var now = new PassObservation(
                passes.Count + 1, TimeSpan.FromSeconds(seconds), (long)sent, (long)dirty,
                Devices: [new DevicePass("gpu0", "gpu", device > 0, 0, 0, first ? (long)device : 0, TimeSpan.FromSeconds(first ? device / deviceRate : 0))]);
            passes.Add(now);
            elapsed += seconds;
            var verdict = SwitchoverRule.Judge(passes, costs, policy);
            if (verdict.Stall is not null) declared ??= passes.Count;
            switch (verdict)
            {
                case SwitchNow { Prediction: var prediction }:
                    double took = Blackout(source, destination, link, seconds, prediction, passes, device);
                    return new Run(prediction, took, passes.Count, declared, LeastMs(link), costs.Count);
                case GiveUp { Prediction: var last }:
                    return new Run(last, null, passes.Count, declared, LeastMs(link), costs.Count);
            }

            pages = dirty;
        }

        double Written(double seconds) => set * (1 - Math.Exp(-seconds / tau)) + rate * seconds;

        double LeastMs(double speed)
        {
            double t = 0.01;
            for (int i = 0; i < 60; i++) t = 0.01 + Math.Min(60, Written(t) / speed);
            return Math.Min(memory, Written(t + 0.03)) / (speed * Eased) * 1000;
        }

        double Blackout(
            string from, string to, double bandwidth, double lastPass, DowntimePrediction predicted, IReadOnlyList<PassObservation> seen, double state)
        {
            // A disk that is sometimes slow, and a host that is slower than the others.
            double busy = (from == "gamma" || to == "gamma" ? 1.5 : 1) * (_random.Next(25) == 0 ? 2.2 : 1);
            double delay = 25 * Noise(0.3) * busy, quiesce = 4 * Noise(0.4), stop = 12 * Noise(0.3), bitmap = 6 * Noise(0.3);
            double bytes = Math.Min(memory, Written(lastPass + delay / 1000) * Noise(0.08));
            // The guest stands still: whoever sends has its cores.
            double speed = bandwidth * Eased * Noise(0.12), sending = 6 * Noise(0.3) + bytes / speed * 1000;
            double final = 5 * Noise(0.3) + state * 0.02 / deviceRate * 1000, load = 8 * Noise(0.4), manifest = 6 * Noise(0.3);
            double verify = 22 * Noise(0.35) * busy, yield = 18 * Noise(0.35) * busy, commit = 9 * Noise(0.35) * busy, resume = 40 * Noise(0.35) * busy;
            double sent = Math.Max(sending, final), loading = Math.Max(0, final + load - sent) + manifest;
            double total = quiesce + stop + bitmap + sent + loading + verify + yield + commit + resume;
            _records.Add(new BlackoutRecord(
                from, to, delay, bitmap, sending, (long)bytes, 0, loading, verify, yield, commit, resume, total,
                [new DeviceBlackout("gpu", quiesce, stop, (long)state, 0, (long)(state * 0.02), final, load, DowntimePredictor.PassRate(seen, "gpu0"))],
                BandwidthEstimate.Of(seen, false).BytesPerSecond, PredictedBlackout.Of(predicted)));
            return total;
        }
    }

    private double Between(double least, double most) => least + _random.NextDouble() * (most - least);

    /// <summary>A factor around 1, log-normal (Box and Muller 1958).</summary>
    private double Noise(double sigma) =>
        Math.Exp(sigma * Math.Sqrt(-2 * Math.Log(1 - _random.NextDouble())) * Math.Cos(2 * Math.PI * _random.NextDouble()));

    /// <param name="TookMs">null: it gave up.</param>
    /// <param name="Declared">pass in which a stall was named first; null: none was.</param>
    /// <param name="LeastMs">that sending the final pages can be brought to, by what is true of the guest and the link.</param>
    /// <param name="Known">blackouts that were learned from by then.</param>
    internal sealed record Run(DowntimePrediction Predicted, double? TookMs, int Passes, int? Declared, double LeastMs, int Known);
}
