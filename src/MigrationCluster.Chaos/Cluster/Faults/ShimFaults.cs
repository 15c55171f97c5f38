using System.Globalization;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What is done to the disk or the clock of a daemon and of the guests of its host, by a library that is preloaded into them.</summary>
internal abstract class ShimFault : Fault
{
    /// <summary>As shim.c names it.</summary>
    protected abstract string Ask { get; }

    public override string? Missing(ChaosSettings settings) => Shim.Shim.Missing();

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings) =>
        With(("target", One(random, settings.OnPostgres ? settings.Hosts : settings.Daemons)), Seconds(random, 0.5, 4));

    public override SortedDictionary<string, string>? At(Scene scene) => With(("target", scene.Daemon), ("seconds", "1.5"));

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        cluster.Shim.Ask(strike["target"], Ask, strike.Parameters.GetValueOrDefault("by", ""));
        await HoldAsync(strike, healing);
        bool taken = !cluster.Shim.Leave(strike["target"], Ask);
        await LeftAsync(cluster.Daemon(strike["target"]), taken);
    }

    /// <param name="taken">by a process, as only a torn write is.</param>
    protected virtual Task LeftAsync(Daemon daemon, bool taken) => Task.CompletedTask;
}

internal sealed class FailingFsync : ShimFault
{
    public override string Name => "failing-fsync";

    public override string Help => "fsync fails with EIO for a daemon and the guests of its host: target, seconds";

    protected override string Ask => "fsync";
}

/// <summary>The power fails in the middle of a write: what is half on disk is found by the next life.</summary>
internal sealed class TornWrite : ShimFault
{
    public override string Name => "torn-write";

    public override string Help => "the next write of a daemon to its journal stops in the middle, and the daemon dies of it: target, seconds until it is started again";

    protected override string Ask => "torn";

    protected override async Task LeftAsync(Daemon daemon, bool taken)
    {
        // It may only just have come to the write, and would die in a moment.
        if (taken) await daemon.KillAsync();
        if (!daemon.Lives) await daemon.StartAsync();
    }
}

internal sealed class ClockJump : ShimFault
{
    public override string Name => "clock-jump";

    public override string Help => "the clock of a daemon and of the guests of its host is off: target, by (seconds, ahead or behind), seconds until it is right again";

    protected override string Ask => "clock";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var drawn = base.Draw(random, settings);
        drawn["by"] = random.Next(-60, 600).ToString(CultureInfo.InvariantCulture);
        return drawn;
    }

    public override SortedDictionary<string, string>? At(Scene scene)
    {
        var at = base.At(scene)!;
        at["by"] = "300";
        return at;
    }
}
