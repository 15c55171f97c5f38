namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>As an upgrade does it: one daemon after the other, the coordinators first, under whatever load there is.</summary>
internal sealed class RollingRestart : Fault
{
    public override string Name => "rolling-restart";

    public override string Help => "every daemon ended in good order and started again, one after the other";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) => With(("target", "all"));

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        foreach (string name in cluster.Settings.Daemons)
        {
            using var held = await cluster.HoldAsync(name, CancellationToken.None);
            await cluster.Daemon(name).RestartAsync(() => Task.CompletedTask);
        }
    }
}
