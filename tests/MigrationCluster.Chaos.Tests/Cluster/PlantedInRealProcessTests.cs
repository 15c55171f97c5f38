using System.Diagnostics;
using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Judging;
using MigrationCluster.Chaos.Cluster.Matrix;
using MigrationCluster.Chaos.Cluster.Shim;

namespace MigrationCluster.Chaos.Tests.Cluster;

/// <summary>A bug that is planted in real processes, by the preloaded library, is found by the judge of chaos and matrix.</summary>
public sealed class PlantedInRealProcessTests
{
    private const string Guest = "g1";

    /// <summary>As the simulator's epoch-in-memory: what a guest process has promised is on no disk.</summary>
    [ShimFact]
    public async Task A_source_that_yields_only_in_its_memory_is_found()
    {
        var settings = ChaosCommand.Read(null, 2, 1, ChaosSettings.Sqlite, 1, 1, "kill-node", "/tmp/none", loopback: true) with { GuestMiB = 32 };
        Directory.CreateDirectory(settings.Folder);
        new Shim(settings.Folder).Build();
        using var cluster = new ChaosCluster(settings);
        try
        {
            await cluster.StartAsync(default);
            var watcher = new Watcher(cluster, Stopwatch.StartNew());
            using var stop = new CancellationTokenSource();
            var watch = watcher.WatchAsync(stop.Token);
            cluster.Shim.Ask("n1", "forget", "\"yielded\":true");

            await new MigrationWatch(cluster, Guest, Stopwatch.StartNew()).AskAsync("n2", null, Hand.None, default);
            for (int looks = 0; watcher.Findings.Count == 0 && looks < 600; looks++) await Task.Delay(100);
            await stop.CancelAsync();
            await watch;

            Assert.Contains(watcher.Findings, finding => finding.Invariant == "VotedBeforeCommitted");
        }
        finally
        {
            Assert.Empty(await CleanUp.SweepAsync(settings.Folder));
        }
    }
}
