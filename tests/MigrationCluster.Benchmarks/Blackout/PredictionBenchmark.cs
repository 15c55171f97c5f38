using MigrationCluster.Api;

namespace MigrationCluster.Benchmarks.Blackout;

/// <summary>
/// Predicted beside actual, in real migrations between two real daemons: guests of several sizes and habits go back and forth, and what
/// one blackout cost is what the next prediction is learned from. The first ones go by assumptions, and count too.
/// </summary>
internal static class PredictionBenchmark
{
    internal const int DefaultRuns = 100;

    private const int MaxDowntimeMs = 2000;
    private const double LeastCovered = 0.90, MostCovered = 0.99, MostExceeded = 0.02, MedianShare = 0.15, MedianMs = 10;

    private static readonly object Templates = new
    {
        serial = new { model = "serial" },
        net = new { model = "net" },
        gpu = new { model = "gpu", parameters = new Dictionary<string, string> { ["memory-mib"] = "32", ["dirty-rate"] = "8" } },
    };

    private static readonly IReadOnlyList<GuestSpec> Guests =
    [
        new("idle", 64, new VcpuSpec(1, "uniform", 0), [new DeviceSpec("serial0", "serial")]),
        new("busy", 256, new VcpuSpec(2, "hotset", 60), [new DeviceSpec("net0", "net"), new DeviceSpec("serial0", "serial")]),
        new("gpu", 128, new VcpuSpec(1, "uniform", 10), [new DeviceSpec("gpu0", "gpu"), new DeviceSpec("net0", "net", ["gpu0"])]),
    ];

    internal static async Task<int> RunAsync(Figures figures, int runs, CancellationToken cancellationToken)
    {
        await using var cluster = await BenchCluster.StartAsync(Templates, null, cancellationToken);
        foreach (var guest in Guests) await cluster.StartGuestAsync(guest, cancellationToken);
        figures.Note($"{runs} migrations of {Guests.Count} guests in turn, limit {MaxDowntimeMs} ms");
        var moved = new List<ReportView>();
        int stayed = 0;
        for (int run = 0; run < runs; run++)
        {
            var view = await cluster.MigrateAsync(new MigrateRequest(Guests[run % Guests.Count].Name, MaxDowntimeMs: MaxDowntimeMs), cancellationToken);
            if (view.Report is { Predicted: not null } report) moved.Add(report);
            else stayed++;
            if ((run + 1) % 20 == 0) Show(figures, $"after {run + 1}", moved);
        }

        figures.Print("prediction.not moved, of all", stayed, "runs");
        if (moved.Count == 0) return 1;
        foreach (string part in moved[0].Downtime.Select(part => part.Component))
        {
            var took = moved.Select(report => report.Downtime.First(other => other.Component == part)).ToList();
            figures.PrintSpread($"prediction.{part}, took", [.. took.Select(one => one.Ms)], "ms");
            figures.PrintSpread($"prediction.{part}, predicted", [.. took.Select(one => one.PredictedMs ?? 0)], "ms");
        }

        figures.PrintSpread("prediction.downtime", [.. moved.Select(report => report.DowntimeMs)], "ms");
        figures.PrintSpread("prediction.p95", [.. moved.Select(report => report.Predicted!.P95Ms)], "ms");
        double covered = Covered(moved), error = MedianError(moved);
        figures.AtLeast("prediction.covered by p95", covered, LeastCovered);
        figures.AtMost("prediction.covered by p95, not by being wide", covered, "ratio", MostCovered, $"at most {MostCovered}");
        double allowed = Math.Max(MedianShare * Figures.Median([.. moved.Select(report => report.DowntimeMs)]), MedianMs);
        figures.AtMost("prediction.median error", error, "ms", allowed, $"at most {allowed:F1} ms, the larger of {MedianShare:P0} and {MedianMs} ms");
        double exceeded = moved.Count(report => report.DowntimeMs > MaxDowntimeMs) / (double)moved.Count;
        figures.AtMost("prediction.limit exceeded", exceeded, "ratio", MostExceeded, $"at most {MostExceeded}");
        return figures.AllHold ? 0 : 1;
    }

    private static void Show(Figures figures, string when, List<ReportView> moved)
    {
        if (moved.Count > 0) figures.Note($"{when}: p95 covers {Covered(moved):P0}, median error {MedianError(moved):F0} ms");
    }

    private static double Covered(List<ReportView> moved) =>
        moved.Count(report => report.DowntimeMs <= report.Predicted!.P95Ms) / (double)moved.Count;

    private static double MedianError(List<ReportView> moved) =>
        Figures.Median([.. moved.Select(report => Math.Abs(report.DowntimeMs - report.Predicted!.P50Ms))]);
}
