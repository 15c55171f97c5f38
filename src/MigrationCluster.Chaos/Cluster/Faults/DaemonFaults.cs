using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What is done to a daemon, whichever: a coordinator or the node of a host. It is started again where it was.</summary>
internal abstract class DaemonFault : Fault
{
    /// <summary>Of hosts; false: of coordinators.</summary>
    protected abstract bool OfHosts { get; }

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", One(random, OfHosts ? settings.Hosts : settings.Coordinators)), Seconds(random, 0.2, 4));

    public override SortedDictionary<string, string>? At(Scene scene) =>
        OfHosts == scene.Host is not null ? With(("target", scene.Daemon), ("seconds", Freezes ? "1.5" : "0.5")) : null;
}

/// <summary>kill -9, and started again a while later.</summary>
internal abstract class KillDaemon : DaemonFault
{
    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        await cluster.Daemon(strike["target"]).KillAsync();
        await HoldAsync(strike, healing);
        await cluster.Daemon(strike["target"]).StartAsync();
    }
}

internal abstract class StopDaemon : DaemonFault
{
    public override bool Freezes => true;

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        int id = cluster.Daemon(strike["target"]).Id;
        Processes.Send(id, Processes.Stop);
        await HoldAsync(strike, healing);
        Processes.Send(id, Processes.Continue);
    }
}

/// <summary>Ends it in good order, and starts it again.</summary>
internal abstract class EndDaemon : DaemonFault
{
    public override Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing) =>
        cluster.Daemon(strike["target"]).RestartAsync(() => HoldAsync(strike, healing));
}

internal sealed class KillNode : KillDaemon
{
    public override string Name => "kill-node";

    public override string Help => "SIGKILL to the daemon of a host, which is started again: target, seconds until then";

    protected override bool OfHosts => true;
}

internal sealed class KillCoordinator : KillDaemon
{
    public override string Name => "kill-coordinator";

    public override string Help => "SIGKILL to a coordinator, which is started again: target, seconds until then";

    protected override bool OfHosts => false;
}

internal sealed class StopNode : StopDaemon
{
    public override string Name => "stop-node";

    public override string Help => "SIGSTOP to the daemon of a host: target, seconds until SIGCONT";

    protected override bool OfHosts => true;
}

internal sealed class StopCoordinator : StopDaemon
{
    public override string Name => "stop-coordinator";

    public override string Help => "SIGSTOP to a coordinator: target, seconds until SIGCONT";

    protected override bool OfHosts => false;
}

internal sealed class EndNode : EndDaemon
{
    public override string Name => "term-node";

    public override string Help => "SIGTERM to the daemon of a host, which ends in good order and is started again: target, seconds until then";

    protected override bool OfHosts => true;
}

internal sealed class EndCoordinator : EndDaemon
{
    public override string Name => "term-coordinator";

    public override string Help => "SIGTERM to a coordinator, which hands over and is started again: target, seconds until then";

    protected override bool OfHosts => false;
}
