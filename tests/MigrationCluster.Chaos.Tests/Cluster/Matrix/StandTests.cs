using System.Diagnostics;
using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Matrix;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Chaos.Tests.Cluster.Matrix;

public sealed class StandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("stand").FullName;
    private readonly Process _process = Process.Start("sleep", "60");

    /// <summary>A process says that it is at its place, and then stops itself: told to go on before that, it would stand still for ever.</summary>
    [Fact]
    public async Task Nothing_strikes_before_the_process_stands_still()
    {
        using var cluster = new ChaosCluster(new ChaosSettings(
            _folder, 2, 1, ChaosSettings.Sqlite, 1, 1, "", false, false, [], new Dictionary<string, string>()));
        var files = cluster.Files("n1", "g1");
        Directory.CreateDirectory(files.Directory);
        File.WriteAllText(files.PathOf(GuestFiles.ProcessId), $"{_process.Id}\n");
        var stand = new Stand(
            cluster, new Scene("source-guest", "c1", "n1", "n2", "g1"), "fence:before:Yielded", scene => new Strike(0, 0, "kill-guest", []));
        stand.Begin();
        File.WriteAllText(files.PathOf(GuestFiles.Log), "failpoint fence:before:Yielded: stop\n");

        Assert.Null(stand.Poll());
        Processes.Send(_process.Id, Processes.Stop);
        var wait = Stopwatch.StartNew();
        Strike? strike;
        while ((strike = stand.Poll()) is null && wait.Elapsed < TimeSpan.FromSeconds(10)) await Task.Delay(10);
        Assert.Equal("kill-guest", strike?.Fault);
        Assert.Null(stand.Poll());
    }

    public void Dispose()
    {
        _process.Kill();
        _process.Dispose();
        Directory.Delete(_folder, recursive: true);
    }
}
