using System.Globalization;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What is done to the processes of a guest, on a host that is picked among those where it has any when the fault strikes.</summary>
internal abstract class GuestFault : Fault
{
    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", One(random, settings.GuestNames)), ("pick", random.Next(100).ToString(CultureInfo.InvariantCulture)), Seconds(random, 0.2, 3));

    /// <summary>On the host of whoever stands still, or, if that is a coordinator, on the destination.</summary>
    public override SortedDictionary<string, string>? At(Scene scene) =>
        With(("target", scene.Guest), ("host", scene.Host ?? scene.Destination), ("pick", "0"), ("seconds", "1.5"));

    protected static string? HostOf(ChaosCluster cluster, Strike strike)
    {
        var hosts = cluster.HostsOf(strike["target"]).Where(host => strike.Parameters.GetValueOrDefault("host", host) == host).ToList();
        return hosts.Count == 0 ? null : hosts[Pick(strike) % hosts.Count];
    }

    protected static HostFolder? Where(ChaosCluster cluster, Strike strike) =>
        HostOf(cluster, strike) is { } host ? cluster.Files(host, strike["target"]) : null;

    protected static int Pick(Strike strike) => int.Parse(strike["pick"], CultureInfo.InvariantCulture);
}

internal sealed class KillGuest : GuestFault
{
    public const string FaultName = "kill-guest";

    public override string Name => FaultName;

    public override string Help => "SIGKILL to a guest process, incoming or running; a guest that is lost so is started anew: target, pick of its hosts";

    public override Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Sacrificed[strike["target"]] = Name;
        if (Where(cluster, strike)?.Guest is { } process && Processes.Send(process, Processes.Kill)) strike.Struck?.Invoke();
        return Task.CompletedTask;
    }
}

internal sealed class StopGuest : GuestFault
{
    public override string Name => "stop-guest";

    public override bool Freezes => true;

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

    public override bool CostsADevice => true;

    public override string Help => "SIGKILL to a device server; a guest that is left without its device is started anew: target, pick of host and device";

    public override Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Sacrificed[strike["target"]] = Name;
        if (Where(cluster, strike)?.Servers.Values.ToList() is { Count: > 0 } servers
            && Processes.Send(servers[Pick(strike) % servers.Count], Processes.Kill)) strike.Struck?.Invoke();
        return Task.CompletedTask;
    }
}

/// <summary>It is let work for a twentieth of a second in every quarter, so that it answers whatever it is asked, late.</summary>
internal sealed class LateDevice : GuestFault
{
    private static readonly TimeSpan Still = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan AtWork = TimeSpan.FromMilliseconds(50);

    public override string Name => "late-device";

    public override string Help => "a device server answers up to 200 ms late (SIGSTOP and SIGCONT by turns): target, pick of host and device, seconds";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        if (Where(cluster, strike)?.Servers.Values.ToList() is not { Count: > 0 } servers) return;
        int process = servers[Pick(strike) % servers.Count];
        var hold = HoldAsync(strike, healing);
        while (!hold.IsCompleted && Processes.Lives(process) && Processes.Send(process, Processes.Stop))
        {
            await Task.Delay(Still, CancellationToken.None);
            Processes.Send(process, Processes.Continue);
            await Task.Delay(AtWork, CancellationToken.None);
        }

        await hold;
    }
}

internal sealed class HangDevice : GuestFault
{
    public override string Name => "hang-device";

    public override string Help => "SIGSTOP to a device server: target, pick of host and device, seconds until SIGCONT";

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        if (Where(cluster, strike)?.Servers.Values.ToList() is not { Count: > 0 } servers) return;
        int process = servers[Pick(strike) % servers.Count];
        Processes.Send(process, Processes.Stop);
        await HoldAsync(strike, healing);
        if (Processes.Lives(process)) Processes.Send(process, Processes.Continue);
    }
}
