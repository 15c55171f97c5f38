using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>Stopped as a crash would, so that every connection breaks and every COMMIT under way is in doubt.</summary>
internal sealed class DatabaseRestart : Fault
{
    public override string Name => "database-restart";

    public override string Help => "PostgreSQL stopped at once and started again: seconds until then";

    public override string? Missing(ChaosSettings settings) => settings.OnPostgres ? null : "needs --engine postgres";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", "database"), Seconds(random, 0, 4));

    public override SortedDictionary<string, string>? At(Scene scene) => With(("target", "database"), ("seconds", "1.5"));

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Database!.Stop();
        await HoldAsync(strike, healing);
        cluster.Database!.Start();
    }
}
