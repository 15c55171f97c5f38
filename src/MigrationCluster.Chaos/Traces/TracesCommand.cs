using System.CommandLine;
using System.Globalization;
using MigrationCluster.Protocol.Convergence;
using static MigrationCluster.Chaos.Traces.TraceContest;

namespace MigrationCluster.Chaos.Traces;

/// <summary>`mc-chaos traces`.</summary>
internal static class TracesCommand
{
    public static Command Create()
    {
        var count = new Option<int>("--count") { Description = "How many traces.", DefaultValueFactory = _ => 1000 };
        var seed = new Option<int>("--seed") { Description = "Of the first trace.", DefaultValueFactory = _ => 1 };
        var recorded = new Option<FileInfo[]>("--recorded")
        {
            Description = "Files of `mc-chaos record`: these guests, in turn, instead of generated ones.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => [],
        };
        var command = new Command("traces",
            "Has generated guests, or recorded ones, migrate under our switchover rule, under those of QEMU and KubeVirt as they are published, and under one that knows what " +
            "comes; prints what each sent, how long the guests stood still, and how often the limit was exceeded. The same seeds give the same figures.")
        { count, seed, recorded };
        command.SetAction((parsed, cancel) =>
            Task.Run(() => Run(parsed.GetValue(seed), parsed.GetValue(count), parsed.GetValue(recorded)!, cancel), cancel));
        return command;
    }

    private static int Run(int first, int count, FileInfo[] files, CancellationToken cancel)
    {
        if (count < 1)
        {
            Console.Error.WriteLine($"mc-chaos: --count must be at least 1, not {count}");
            return 2;
        }

        RecordedWrites[] recorded;
        try
        {
            recorded = [.. files.Select(file => RecordedWrites.Read(file.FullName))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            Console.Error.WriteLine($"mc-chaos: {e.Message}");
            return 2;
        }

        Print(TraceContest.Run(first, count, cancel, recorded));
        return cancel.IsCancellationRequested ? 130 : 0;
    }

    private static void Print(IReadOnlyList<TraceResult> results)
    {
        var feasible = results.Where(result => result.Oracle is not null).ToList();
        var kinds = results.Select(result => result.Trace.Kind).Distinct().ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{results.Count} traces ({string.Join(", ", kinds)}), limits of 300, 500 and 1000 ms; {feasible.Count} can keep their limit, by who knows what comes"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"",-26} {"paused",6} {"gave up",7} {"over limit",10} {"downtime p50",12} {"p95 ms",8} {"GiB, all",9} {"to oracle p50",13} {"p95",6}"));
        foreach (string rule in (string[])[Ours, OursSwitches, Qemu, KubeVirt]) PrintRule(results, feasible, rule);
        var oracle = feasible.Select(result => result.Oracle!).ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{"oracle",-26} {oracle.Count,6} {results.Count - oracle.Count,7} {0,10} {Quantile(oracle.Select(o => o.Downtime!.Value), 0.5),12:0} {Quantile(oracle.Select(o => o.Downtime!.Value), 0.95),8:0}"));
        foreach (string kind in kinds)
        {
            var ofKind = feasible.Where(result => result.Trace.Kind == kind).ToList();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {kind,-20} {ofKind.Count,4} feasible; ours paused {ofKind.Count(result => result.Of[Ours].Downtime is not null),4}, bytes to oracle p95 {Quantile(ofKind.Where(Paused).Select(result => (double)result.Of[Ours].Bytes / result.Oracle!.Bytes), 0.95):0.00}"));
        }

        Compare(results, Qemu);
        Compare(results, KubeVirt);
        PrintTruth(results);
    }

    private static bool Paused(TraceResult result) => result.Of[Ours].Downtime is not null;

    private static void PrintRule(IReadOnlyList<TraceResult> results, IReadOnlyList<TraceResult> feasible, string rule)
    {
        var paused = results.Where(result => result.Of[rule].Downtime is not null).ToList();
        var downtimes = paused.Select(result => result.Of[rule].Downtime!.Value).ToList();
        int over = paused.Count(result => result.Of[rule].Downtime > result.Trace.Limit.TotalMilliseconds);
        var ratios = feasible.Where(result => result.Of[rule].Downtime is not null)
            .Select(result => (double)result.Of[rule].Bytes / result.Oracle!.Bytes).ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{rule,-26} {paused.Count,6} {results.Count - paused.Count,7} {over,4} ({100.0 * over / Math.Max(1, paused.Count),3:0} %) {Quantile(downtimes, 0.5),12:0} {Quantile(downtimes, 0.95),8:0} {results.Sum(result => result.Of[rule].Bytes) / (double)(1 << 30),9:0} {Quantile(ratios, 0.5),13:0.00} {Quantile(ratios, 0.95),6:0.00}"));
    }

    /// <summary>Over the traces that both paused, which alone have a downtime to compare, and over all.</summary>
    private static void Compare(IReadOnlyList<TraceResult> results, string other)
    {
        var both = results.Where(result => result.Of[Ours].Downtime is not null && result.Of[other].Downtime is not null).ToList();
        int Over(string rule) => both.Count(result => result.Of[rule].Downtime > result.Trace.Limit.TotalMilliseconds);
        double Bytes(string rule, IReadOnlyList<TraceResult> of) => of.Sum(result => result.Of[rule].Bytes);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ours to {other}: bytes {Bytes(Ours, both) / Bytes(other, both):0.000} over the {both.Count} that both paused, {Bytes(Ours, results) / Bytes(other, results):0.000} over all; over the limit {Over(Ours)} to {Over(other)}; median downtime {Quantile(both.Select(result => result.Of[Ours].Downtime!.Value), 0.5):0} to {Quantile(both.Select(result => result.Of[other].Downtime!.Value), 0.5):0} ms"));
    }

    private static void PrintTruth(IReadOnlyList<TraceResult> results)
    {
        var paused = results.Select(result => result.Of[Ours]).Where(outcome => outcome is { Downtime: not null, Prediction: not null }).ToList();
        if (paused.Count > 0)
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ours predicted: p95 covers {100.0 * paused.Count(outcome => outcome.Downtime <= outcome.Prediction!.P95.TotalMilliseconds) / paused.Count:0.0} %, median error {Quantile(paused.Select(Error), 0.5):0} ms, {100 * Quantile(paused.Select(outcome => Error(outcome) / outcome.Downtime!.Value), 0.5):0} % of the downtime"));
        var infeasible = results.Where(result => result.Oracle is null).ToList();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"of {infeasible.Count} that cannot keep their limit ours said so by the third pass in {infeasible.Count(result => result.Of[Ours].SaidInfeasible <= 3)}; of the others it gave up {results.Count(result => result.Oracle is not null && result.Of[Ours].Downtime is null)}"));
    }

    private static double Error(Outcome outcome) => Math.Abs(outcome.Downtime!.Value - outcome.Prediction!.P50.TotalMilliseconds);

    private static double Quantile(IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted.Length == 0 ? double.NaN : Cost.Quantile(sorted, share);
    }

}
