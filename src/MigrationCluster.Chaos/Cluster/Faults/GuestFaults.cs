using System.Globalization;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What is done to the processes of a guest, on a host that is picked among those where it has any when the fault strikes.</summary>
internal abstract class GuestFault : Fault
{
    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", One(random, settings.GuestNames)), ("pick", random.Next(100).ToString(CultureInfo.InvariantCulture)), Seconds(random, 0.2, 3));

    protected static HostFolder? Where(ChaosCluster cluster, Strike strike) =>
        cluster.HostsOf(strike["target"]) is { Count: > 0 } hosts
            ? cluster.Files(hosts[int.Parse(strike["pick"], CultureInfo.InvariantCulture) % hosts.Count], strike["target"])
            : null;
}

internal sealed class KillGuest : GuestFault
{
    public override string Name => "kill-guest";

    public override string Help => "SIGKILL to a guest process, incoming or running; a guest that is lost so is started anew: target, pick of its hosts";

    public override Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Sacrificed[strike["target"]] = Name;
        if (Where(cluster, strike)?.Guest is { } process) Processes.Send(process, Processes.Kill);
        return Task.CompletedTask;
    }
}

internal sealed class StopGuest : GuestFault
{
    public override string Name => "stop-guest";

    public override string Help => "SIGSTOP to a guest process: target, pick of its hosts, seconds until SIGCONT";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        if (Where(cluster, strike)?.Guest is not { } process) return;
        Processes.Send(process, Processes.Stop);
        await HoldAsync(strike, healing);
        if (Processes.Lives(process)) Processes.Send(process, Processes.Continue);
    }
}

internal sealed class KillDevice : GuestFault
{
    public override string Name => "kill-device";

    public override string Help => "SIGKILL to a device server; a guest that is left without its device is started anew: target, pick of host and device";

    public override Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Sacrificed[strike["target"]] = Name;
        if (Where(cluster, strike)?.Servers.Values.ToList() is { Count: > 0 } servers)
            Processes.Send(servers[int.Parse(strike["pick"], CultureInfo.InvariantCulture) % servers.Count], Processes.Kill);
        return Task.CompletedTask;
    }
}

internal sealed class HangDevice : GuestFault
{
    public override string Name => "hang-device";

    public override string Help => "SIGSTOP to a device server: target, pick of host and device, seconds until SIGCONT";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        if (Where(cluster, strike)?.Servers.Values.ToList() is not { Count: > 0 } servers) return;
        int process = servers[int.Parse(strike["pick"], CultureInfo.InvariantCulture) % servers.Count];
        Processes.Send(process, Processes.Stop);
        await HoldAsync(strike, healing);
        if (Processes.Lives(process)) Processes.Send(process, Processes.Continue);
    }
}
