using System.Globalization;
using System.Text.Json.Serialization;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>One fault at one moment of a schedule.</summary>
/// <param name="At">seconds since the run's start.</param>
/// <param name="Parameters">by the fault's own names.</param>
internal sealed record Strike(int Number, double At, string Fault, SortedDictionary<string, string> Parameters)
{
    /// <summary>Called when the fault has struck, before it holds; never where there was nothing to strike.</summary>
    [JsonIgnore]
    public Action? Struck { get; init; }

    public string this[string name] => Parameters[name];

    /// <summary>How long it lasts.</summary>
    public TimeSpan Hold => TimeSpan.FromSeconds(double.Parse(Parameters.GetValueOrDefault("seconds", "0"), CultureInfo.InvariantCulture));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"{At,6:F1} s {Fault} {string.Join(' ', Parameters.Select(pair => $"{pair.Key}={pair.Value}"))}");
}

/// <summary>When what goes wrong: a pure function of the seed and of what was asked for.</summary>
internal static class Schedule
{
    /// <summary>Between two strikes, on average.</summary>
    private const double MeanSeconds = 4;

    /// <summary>Before the first, and left to the last to be undone.</summary>
    private const double Quiet = 3;

    public static IReadOnlyList<Strike> Draw(ChaosSettings settings)
    {
        var random = new Random(settings.Seed);
        var faults = settings.Faults.Select(Fault.Find).ToList();
        var strikes = new List<Strike>();
        if (faults.Count == 0) return strikes;
        // Every fault once in a shuffled order before any comes twice: a short run meets as many kinds as it can.
        var bag = new Queue<Fault>();
        for (double at = Quiet; ; at += MeanSeconds * (0.25 + 1.5 * random.NextDouble()))
        {
            if (at > settings.Duration.TotalSeconds - Quiet) return strikes;
            if (bag.Count == 0)
            {
                var again = faults.ToArray();
                random.Shuffle(again);
                bag = new Queue<Fault>(again);
            }

            var fault = bag.Dequeue();
            strikes.Add(new Strike(strikes.Count + 1, Math.Round(at, 1), fault.Name, fault.Draw(random, settings)));
        }
    }
}
