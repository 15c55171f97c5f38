using System.Globalization;
using MigrationCluster.Chaos.Cluster.Matrix;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>
/// One way to break a cluster. A class of this kind with a constructor without parameters is found by itself: to add a fault is to add
/// one file (docs/chaos.md).
/// </summary>
internal abstract class Fault
{
    public static IReadOnlyList<Fault> All { get; } =
    [
        .. typeof(Fault).Assembly.GetTypes().Where(type => type is { IsAbstract: false } && type.IsSubclassOf(typeof(Fault)))
            .Select(type => (Fault)Activator.CreateInstance(type)!).OrderBy(fault => fault.Name, StringComparer.Ordinal),
    ];

    /// <summary>As --faults takes it.</summary>
    public abstract string Name { get; }

    /// <summary>What it does, with its parameters, in a line of help.</summary>
    public abstract string Help { get; }

    /// <summary>Why it cannot be had in such a run; null: it can.</summary>
    public virtual string? Missing(ChaosSettings settings) => null;

    /// <summary>Its parameters of one strike. "target" names what no other strike may hold at the same time.</summary>
    public abstract SortedDictionary<string, string> Draw(Random random, ChaosSettings settings);

    /// <summary>Its parameters of a strike while a process stands still at a failpoint; null: it makes no sense there.</summary>
    public virtual SortedDictionary<string, string>? At(Scene scene) => null;

    /// <summary>While it holds its target stands still: nobody else may let it go on.</summary>
    public virtual bool Freezes => false;

    /// <summary>The guest may be left without a device, so that its operator has to start it anew.</summary>
    public virtual bool CostsADevice => false;

    /// <summary>Strikes, holds, and returns once it is undone; <paramref name="healing"/> ends the hold early, not the undoing.</summary>
    public abstract Task StrikeAsync(ChaosCluster cluster, Strike strike, CancellationToken healing);

    public static Fault Find(string name) => All.Single(fault => fault.Name == name);

    protected static async Task HoldAsync(Strike strike, CancellationToken healing)
    {
        strike.Struck?.Invoke();
        await Task.Delay(strike.Hold, healing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    protected static SortedDictionary<string, string> With(params (string Name, string Value)[] parameters) =>
        new(parameters.ToDictionary(pair => pair.Name, pair => pair.Value), StringComparer.Ordinal);

    protected static string One(Random random, IReadOnlyList<string> of) => of[random.Next(of.Count)];

    protected static (string, string) Seconds(Random random, double least, double most) =>
        ("seconds", (least + (most - least) * random.NextDouble()).ToString("F1", CultureInfo.InvariantCulture));

    /// <summary>Two different ones.</summary>
    protected static (string One, string Other) Two(Random random, IReadOnlyList<string> of)
    {
        int first = random.Next(of.Count);
        return (of[first], of[(first + 1 + random.Next(of.Count - 1)) % of.Count]);
    }
}
