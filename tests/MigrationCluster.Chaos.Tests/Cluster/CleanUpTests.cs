using System.Diagnostics;
using MigrationCluster.Chaos.Cluster;

namespace MigrationCluster.Chaos.Tests.Cluster;

public sealed class CleanUpTests
{
    [Fact]
    public async Task What_a_killed_starter_has_left_is_taken_away_and_what_has_an_owner_is_not()
    {
        string under = Directory.CreateTempSubdirectory("runs").FullName;
        string orphan = Path.Combine(under, "mcx-orphan"), owned = Path.Combine(under, "mcx-owned"), fresh = Path.Combine(under, "mcx-fresh");
        CleanUp.Own(orphan).Dispose();
        CleanUp.Own(fresh).Dispose();
        using var own = CleanUp.Own(owned);
        foreach (string folder in (string[])[orphan, owned]) File.SetLastWriteTimeUtc(Path.Combine(folder, "own"), DateTime.UtcNow - TimeSpan.FromMinutes(1));
        using var left = Process.Start(new ProcessStartInfo("sleep", "600") { WorkingDirectory = orphan })!;

        Assert.Equal([orphan], await CleanUp.SweepOrphansAsync(under));

        Assert.True(left.WaitForExit(10_000));
        Assert.Equal([fresh, owned], Directory.EnumerateDirectories(under).Order(StringComparer.Ordinal));
        Directory.Delete(under, recursive: true);
    }
}
