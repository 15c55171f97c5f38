using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>A daemon that dies, stands still, fails or is slow at a named step (docs/recovery.md), wherever its work takes it there.</summary>
internal sealed class Failpoint : Fault
{
    private static readonly string[] Actions = ["kill", "stop", "fail", "delay:1500"];

    public override string Name => "failpoint";

    public override string Help => "a daemon restarted with a failpoint armed, and again, unarmed: target, place, action, seconds in between";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var places = FailpointNames.All.Where(name => !name.StartsWith("fence:", StringComparison.Ordinal)).ToList();
        string place = One(random, places);
        bool host = place.StartsWith("source:", StringComparison.Ordinal) || place.StartsWith("destination:", StringComparison.Ordinal);
        return With(
            ("target", One(random, host ? settings.Hosts : settings.Coordinators)), ("place", place), ("action", One(random, Actions)),
            Seconds(random, 2, 6));
    }

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        var daemon = cluster.Daemon(strike["target"]);
        await daemon.EndAsync();
        try
        {
            await daemon.StartAsync(new Armed($"{strike["place"]}={strike["action"]}"));
        }
        catch (IOException)
        {
            // Armed for what it does first of all, it died or stands still before it listened.
        }

        await HoldAsync(strike, healing);
        await daemon.EndAsync();
        await daemon.StartAsync();
    }
}
