using System.Globalization;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster.Faults;

/// <summary>What is done to the packets from one daemon to another.</summary>
internal abstract class NetworkFault : Fault
{
    public override string? Missing(ChaosSettings settings) =>
        settings.Namespaces ? null : "needs network namespaces, and the right to make them";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var (one, other) = Two(random, settings.Daemons);
        return With(("from", one), ("to", other), Seconds(random, 0.5, 6));
    }

    /// <summary>Between both hosts where one of them stands still, between a coordinator and the source where that does.</summary>
    public override SortedDictionary<string, string>? At(Scene scene) =>
        With(("from", scene.Daemon), ("to", scene.Host is null ? scene.Source : scene.Peer), ("seconds", "2"));
}

/// <summary>By a table of nftables of its own in the receiver's namespace.</summary>
internal abstract class RuleFault : NetworkFault
{
    /// <summary>The end of the rule.</summary>
    protected abstract string Verdict(Strike strike);

    /// <summary>Both ways, or only what "from" sends.</summary>
    protected virtual bool BothWays => true;

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        string table = $"chaos{strike.Number}";
        List<(string At, string From)> ways = [(strike["to"], strike["from"]), .. BothWays ? [(strike["from"], strike["to"])] : Array.Empty<(string, string)>()];
        foreach (var (at, from) in ways) cluster.Network!.Rule(at, table, Network.Address(cluster.Settings, from), Verdict(strike));
        await HoldAsync(strike, healing);
        foreach (var (at, _) in ways) cluster.Network!.Unrule(at, table);
    }
}

internal sealed class Cut : RuleFault
{
    public override string Name => "cut";

    public override string Help => "nothing passes between two daemons: from, to, seconds";

    protected override string Verdict(Strike strike) => "drop";
}

internal sealed class OneWayCut : RuleFault
{
    public override string Name => "one-way-cut";

    public override string Help => "what one daemon sends does not reach another: from, to, seconds";

    protected override bool BothWays => false;

    /// <summary>From a coordinator to whoever is one of both hosts.</summary>
    public override SortedDictionary<string, string>? At(Scene scene) =>
        With(("from", scene.Coordinator), ("to", scene.Host ?? scene.Destination), ("seconds", "2"));

    protected override string Verdict(Strike strike) => "drop";
}

internal sealed class Lossy : RuleFault
{
    public override string Name => "lossy";

    public override string Help => "a share of the packets between two daemons is lost: from, to, percent, seconds";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var drawn = base.Draw(random, settings);
        drawn["percent"] = random.Next(1, 30).ToString(CultureInfo.InvariantCulture);
        return drawn;
    }

    public override SortedDictionary<string, string>? At(Scene scene)
    {
        var at = base.At(scene)!;
        at["percent"] = "20";
        return at;
    }

    protected override string Verdict(Strike strike) => $"numgen random mod 100 < {strike["percent"]} drop";
}

internal sealed class Slow : RuleFault
{
    public override string Name => "slow";

    public override string Help => "what passes between two daemons above a rate is lost, each way: from, to, kbytes a second, seconds";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var drawn = base.Draw(random, settings);
        drawn["kbytes"] = random.Next(500, 8000).ToString(CultureInfo.InvariantCulture);
        return drawn;
    }

    public override SortedDictionary<string, string>? At(Scene scene)
    {
        var at = base.At(scene)!;
        at["kbytes"] = "2000";
        return at;
    }

    protected override string Verdict(Strike strike) => $"limit rate over {strike["kbytes"]} kbytes/second drop";
}

/// <summary>Packets overtake one another where what each waits on top differs by more than what lies between them.</summary>
internal sealed class Delayed : NetworkFault
{
    public override string Name => "delayed";

    public override string Help => "packets between two daemons arrive late and out of order, each way: from, to, ms for all, jitter (ms at most on top), seconds";

    public override SortedDictionary<string, string> Draw(Random random, ChaosSettings settings)
    {
        var drawn = base.Draw(random, settings);
        drawn["ms"] = random.Next(1, 100).ToString(CultureInfo.InvariantCulture);
        drawn["jitter"] = random.Next(0, 50).ToString(CultureInfo.InvariantCulture);
        return drawn;
    }

    public override SortedDictionary<string, string>? At(Scene scene)
    {
        var at = base.At(scene)!;
        (at["ms"], at["jitter"]) = ("50", "20");
        return at;
    }

    public override async Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing)
    {
        using var detour = cluster.Network!.Detour(
            cluster.Settings, strike.Number, strike["from"], strike["to"], Milliseconds("ms"), Milliseconds("jitter"), cluster.Settings.Seed);
        await HoldAsync(strike, healing);

        TimeSpan Milliseconds(string name) => TimeSpan.FromMilliseconds(int.Parse(strike[name], CultureInfo.InvariantCulture));
    }
}
