using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

internal abstract class DatabaseFault : Fault
{
    public override string? Missing(ChaosSettings settings) => settings.OnPostgres ? null : "needs --engine postgres";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", "database"), Seconds(random, 0, 4));

    public override SortedDictionary<string, string>? At(Scene scene) => With(("target", "database"), ("seconds", "1.5"));
}

/// <summary>Stopped as a crash would, so that every connection breaks and every COMMIT under way is in doubt.</summary>
internal sealed class DatabaseRestart : DatabaseFault
{
    public override string Name => "database-restart";

    public override string Help => "PostgreSQL stopped at once and started again: seconds until then";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Database!.StopPrimary();
        await HoldAsync(strike, healing);
        cluster.Database!.Start();
    }
}

/// <summary>The primary crashes for good, and its synchronous standby becomes the primary: nothing that was committed is lost. A new standby is made of what is there.</summary>
internal sealed class DatabaseFailover : DatabaseFault
{
    public const string FaultName = "database-failover";

    public override string Name => FaultName;

    public override string Help => "PostgreSQL's primary crashes, and its synchronous standby takes over: seconds until it does";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Database!.StopPrimary();
        await HoldAsync(strike, healing);
        cluster.Database.FailOver();
        cluster.Database.MakeStandby();
    }
}
