using System.Diagnostics;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;

namespace MigrationCluster.Benchmarks.Compat;

/// <summary>Compatibility over a fleet, and save_setup between two guest processes.</summary>
internal static class CompatBenchmark
{
    private const int WarmUps = 2;
    private const int Repetitions = 5;
    private const double Noise = 3;

    internal static async Task<int> RunAsync(Figures figures, CancellationToken cancellationToken)
    {
        figures.Note($"{BenchFleet.Hosts} hosts x {BenchFleet.Classes} classes x {BenchFleet.Parameters} parameters, one thread");
        figures.Note("bars are absolute: a figure may miss its bar, and is gated at three times the bar, for noise");
        Matrix(figures, "realistic", BenchFleet.Realistic, cancellationToken);
        Matrix(figures, "all-differ", BenchFleet.AllDiffer, cancellationToken);
        Matrix(figures, "nothing-alike", BenchFleet.NothingAlike, cancellationToken);
        Search(figures, "realistic", BenchFleet.Realistic());
        Search(figures, "all-differ", BenchFleet.AllDiffer());
        await SaveSetupBenchmark.RunAsync(figures, Noise, cancellationToken);
        return figures.AllHold ? 0 : 1;
    }

    private static void Matrix(Figures figures, string name, Func<HostOffers[]> build, CancellationToken cancellationToken)
    {
        // Made here, so that no other fleet counts as memory in use.
        var fleet = build();
        var milliseconds = new List<double>();
        var seen = new int[4];
        double peak = 0, allocated = 0;
        figures.Print($"matrix.{name}.the-fleet-itself", GC.GetTotalMemory(forceFullCollection: true) / 1e6, "MB");
        for (int repetition = -WarmUps; repetition < Repetitions; repetition++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using var memory = new PeakMemory();
            long before = GC.GetAllocatedBytesForCurrentThread();
            long start = Stopwatch.GetTimestamp();
            CompatibilityMatrix[] matrices = [.. Enumerable.Range(0, BenchFleet.Classes)
                .Select(@class => CompatibilityMatrix.Build(fleet.Of(@class), HandlerChain.Default))];
            double took = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            allocated = GC.GetAllocatedBytesForCurrentThread() - before;
            memory.Dispose();
            peak = Math.Max(peak, memory.MegaBytes);
            if (repetition >= 0) milliseconds.Add(took);
            seen = Count(matrices[0]);
        }
        figures.Note($"{name}: of the first class {seen[3]} pairs compatible, {seen[2]} unknown, {seen[1]} incompatible");
        figures.PrintSpread($"matrix.{name}", milliseconds, "ms");
        figures.Print($"matrix.{name}.allocated", allocated / 1e6, "MB");
        figures.Within($"matrix.{name}.time", Figures.Median(milliseconds), "ms", 1000, Noise);
        figures.Within($"matrix.{name}.peak-managed-memory", peak, "MB", 200, Noise);
    }

    private static int[] Count(CompatibilityMatrix matrix)
    {
        var counts = new int[4];
        for (int source = 0; source < matrix.Hosts.Count; source++)
            for (int destination = 0; destination < matrix.Hosts.Count; destination++)
                counts[(int)matrix[source, destination]]++;
        return counts;
    }

    private static void Search(Figures figures, string name, HostOffers[] fleet)
    {
        GuestDevice[] devices = [.. Enumerable.Range(0, BenchFleet.Classes).Select(@class =>
            new GuestDevice($"device{@class}", BenchFleet.Class(@class), fleet[5].Classes[BenchFleet.Class(@class)].Instantiate()))];
        var milliseconds = new List<double>();
        IReadOnlyList<HostRanking> ranked = [];
        // A coordinator that has been asked before: the first searches after its start take two to three times as long.
        for (int repetition = -40 * WarmUps; repetition < 5 * Repetitions; repetition++)
        {
            long start = Stopwatch.GetTimestamp();
            ranked = CandidateSearch.Rank(devices, fleet, fleet[5].Host, HandlerChain.Default);
            if (repetition >= 0) milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        figures.Note($"{name}: {ranked.Count(host => host.Verdict == VerdictKind.Compatible)} of {ranked.Count} hosts take the guest, "
            + $"{ranked.Count(host => host.Return == VerdictKind.Compatible)} could send it back");
        figures.PrintSpread($"search.{name}", milliseconds, "ms");
        figures.Within($"search.{name}.time", Figures.Median(milliseconds), "ms", 10, Noise);
    }
}
