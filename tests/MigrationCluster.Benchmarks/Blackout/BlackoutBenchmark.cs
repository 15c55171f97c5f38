using System.Diagnostics;
using MigrationCluster.Api;

namespace MigrationCluster.Benchmarks.Blackout;

/// <summary>
/// What a blackout is made of, between two real daemons on loopback: a group beside one of its members alone, PRE_COPY beside
/// STOP_COPY, and what is left where there are hardly any bytes.
/// </summary>
internal static class BlackoutBenchmark
{
    private const int Rounds = 3, StateMiB = 64, GpuMiB = 128, PaceMiB = 64, Members = 8;
    private const int OverheadRounds = 15;
    private const double MostOfOneAlone = 1.25, LeastCut = 0.85, MostOverheadMs = 20, MostSyncs = 3;

    /// <summary>Steps that send nothing.</summary>
    private static readonly HashSet<string> NotBytes = ["quiesce", "stop", "final-bitmap", "verify", "yield", "commit", "resume"];

    private static readonly object Templates = new
    {
        serial = new { model = "serial" },
        paced = Gpu(StateMiB, dirtyRate: 0, stopCopyOnly: true),
        gpuStop = Gpu(GpuMiB, dirtyRate: 4, stopCopyOnly: true),
        gpuPre = Gpu(GpuMiB, dirtyRate: 4, stopCopyOnly: false),
    };

    /// <summary>What there is to measure, in its order.</summary>
    internal static readonly IReadOnlyList<string> Parts = ["group", "precopy", "sqlite", "postgres"];

    internal static async Task<int> RunAsync(Figures figures, IReadOnlyList<string> parts, CancellationToken cancellationToken)
    {
        if (parts.Any(part => part != "postgres"))
        {
            await using var cluster = await BenchCluster.StartAsync(Templates, null, cancellationToken);
            if (parts.Contains("group")) await GroupAsync(figures, cluster, cancellationToken);
            if (parts.Contains("precopy")) await PreCopyAsync(figures, cluster, cancellationToken);
            if (parts.Contains("sqlite")) await OverheadAsync(figures, cluster, "SQLite", cancellationToken);
        }

        if (parts.Contains("postgres") && !BenchPostgres.IsInstalled)
        {
            figures.Note("PostgreSQL is not installed (apt-get install postgresql): not measured");
        }
        else if (parts.Contains("postgres"))
        {
            using var postgres = new BenchPostgres();
            await using var cluster = await BenchCluster.StartAsync(Templates, postgres.Connection, cancellationToken);
            await OverheadAsync(figures, cluster, "PostgreSQL", cancellationToken);
        }

        return figures.AllHold ? 0 : 1;
    }

    /// <summary>All of a device's state is final, saved and loaded at its pace: one after the other, eight of them take eight times as long.</summary>
    private static async Task GroupAsync(Figures figures, BenchCluster cluster, CancellationToken cancellationToken)
    {
        figures.Note($"{StateMiB} MiB of final state a device, saved and loaded at {PaceMiB} MiB/s; rounds interleaved");
        await cluster.StartGuestAsync(Guest("one", Devices("paced", 1)), cancellationToken);
        await cluster.StartGuestAsync(Guest("eight", Devices("paced", Members)), cancellationToken);
        var (one, eight) = (new List<double>(), new List<double>());
        for (int round = 0; round < Rounds; round++)
        {
            one.Add((await cluster.MoveAsync(Patient("one"), cancellationToken)).DowntimeMs);
            eight.Add((await cluster.MoveAsync(Patient("eight"), cancellationToken)).DowntimeMs);
        }

        await cluster.StopGuestAsync("one");
        await cluster.StopGuestAsync("eight");
        figures.PrintSpread("blackout.one device", one, "ms");
        figures.PrintSpread($"blackout.{Members} devices", eight, "ms");
        figures.AtMost(
            $"blackout.{Members} devices to one alone", Figures.Median(eight) / Figures.Median(one), "ratio", MostOfOneAlone, $"at most {MostOfOneAlone}");
    }

    private static async Task PreCopyAsync(Figures figures, BenchCluster cluster, CancellationToken cancellationToken)
    {
        await cluster.StartGuestAsync(Guest("stop", Devices("gpuStop", 1)), cancellationToken);
        await cluster.StartGuestAsync(Guest("pre", Devices("gpuPre", 1)), cancellationToken);
        var (stop, pre) = (new List<double>(), new List<double>());
        for (int round = 0; round < Rounds; round++)
        {
            stop.Add((await cluster.MoveAsync(Patient("stop"), cancellationToken)).DowntimeMs);
            pre.Add((await cluster.MoveAsync(Patient("pre"), cancellationToken)).DowntimeMs);
        }

        await cluster.StopGuestAsync("stop");
        await cluster.StopGuestAsync("pre");
        figures.PrintSpread($"blackout.gpu of {GpuMiB} MiB, STOP_COPY only", stop, "ms");
        figures.PrintSpread("blackout.the same with PRE_COPY", pre, "ms");
        figures.AtLeast("blackout.cut by PRE_COPY", 1 - Figures.Median(pre) / Figures.Median(stop), LeastCut);
    }

    private static async Task OverheadAsync(Figures figures, BenchCluster cluster, string store, CancellationToken cancellationToken)
    {
        await cluster.StartGuestAsync(Guest("small", Devices("serial", 1)), cancellationToken);
        var all = new List<double>();
        var parts = new Dictionary<string, List<double>>();
        for (int round = 0; round < OverheadRounds; round++)
        {
            var report = await cluster.MoveAsync(Patient("small"), cancellationToken);
            var bare = report.Downtime.Where(part => NotBytes.Contains(part.Component)).ToList();
            // The first of each direction meets code that has not run yet.
            if (round < 2) continue;
            all.Add(bare.Sum(part => part.Ms));
            foreach (var part in bare) (parts.TryGetValue(part.Component, out var seen) ? seen : parts[part.Component] = []).Add(part.Ms);
        }

        await cluster.StopGuestAsync("small");
        double sync = MeasureSync(cluster.Folder);
        figures.Print($"blackout.{store}, one fsync on this disk", sync, "ms");
        foreach (var (part, ms) in parts) Quantiles(figures, $"blackout.{store}, {part}", ms);
        Quantiles(figures, $"blackout.{store}, all that is not bytes", all);
        // One after the other: Verified, Yielded and the permit, each in a fence file, its directory and the agent's journal, and the row.
        const int syncs = 3 * 3 + 1;
        double bar = MostSyncs * syncs * sync + MostOverheadMs;
        figures.AtMost(
            $"blackout.{store}, its median", Figures.Median(all), "ms", bar,
            $"at most {MostSyncs} x {syncs} fsyncs' median + {MostOverheadMs} ms = {bar:F1} ms");
    }

    private static void Quantiles(Figures figures, string name, List<double> values)
    {
        double[] sorted = [.. values.Order()];
        figures.Print($"{name}, p50", Figures.Median(values), "ms");
        figures.Print($"{name}, p99", sorted[Math.Min(sorted.Length - 1, (int)Math.Ceiling(sorted.Length * 0.99) - 1)], "ms");
    }

    /// <summary>Median of a small append and its fsync, where the nodes write.</summary>
    private static double MeasureSync(string folder)
    {
        string path = Path.Combine(folder, "sync");
        var took = new List<double>();
        using (var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0))
        {
            for (int i = 0; i < 200; i++)
            {
                long start = Stopwatch.GetTimestamp();
                file.Write(new byte[512]);
                file.Flush(flushToDisk: true);
                took.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            }
        }

        File.Delete(path);
        return Figures.Median(took);
    }

    /// <summary>The blackout is what is measured, however long it is.</summary>
    private static MigrateRequest Patient(string guest) => new(guest, MaxDowntimeMs: 9000, OnStall: StallActions.Switch);

    private static GuestSpec Guest(string name, IReadOnlyList<DeviceSpec> devices) => new(name, 64, new VcpuSpec(1, "uniform", 0), devices);

    private static List<DeviceSpec> Devices(string template, int count) =>
        [.. Enumerable.Range(0, count).Select(number => new DeviceSpec($"d{number}", template))];

    private static object Gpu(int memoryMiB, int dirtyRate, bool stopCopyOnly) => new
    {
        model = "gpu",
        parameters = new Dictionary<string, string>
        {
            ["memory-mib"] = $"{memoryMiB}",
            ["dirty-rate"] = $"{dirtyRate}",
            ["save-rate"] = $"{PaceMiB}",
            ["load-rate"] = $"{PaceMiB}",
            ["stop-copy-only"] = stopCopyOnly ? "1" : "0",
        },
    };
}
