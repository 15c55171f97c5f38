using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Which host takes a device of one class from which other host, in each direction: the source's template made with its default
/// values, put to the destination's offer.
/// </summary>
public sealed class CompatibilityMatrix
{
    private readonly int[] _forms;
    private readonly PairVerdicts _verdicts;
    private IReadOnlyList<Island>? _islands;

    private CompatibilityMatrix(IReadOnlyList<HostName> hosts, int[] forms, PairVerdicts verdicts) =>
        (Hosts, _forms, _verdicts) = (hosts, forms, verdicts);

    public IReadOnlyList<HostName> Hosts { get; }

    /// <summary>Indices into <see cref="Hosts"/>.</summary>
    public VerdictKind this[int source, int destination] =>
        _forms[source] < 0 || _forms[destination] < 0 ? VerdictKind.Absent : _verdicts[_forms[source], _forms[destination]];

    /// <summary>The largest first. A host that cannot make the class is on none.</summary>
    public IReadOnlyList<Island> Islands => _islands ??= Island.Of(this);

    /// <summary>Every pair that works in one direction only, in the order of <see cref="Hosts"/>.</summary>
    public IEnumerable<OneWayEdge> OneWay
    {
        get
        {
            for (int source = 0; source < Hosts.Count; source++)
                for (int destination = 0; destination < Hosts.Count; destination++)
                    if (this[source, destination] == VerdictKind.Compatible && this[destination, source] is var back and not VerdictKind.Compatible)
                        yield return new OneWayEdge(Hosts[source], Hosts[destination], back);
        }
    }

    /// <param name="answers">what hosts said to version strings; null: nobody was asked.</param>
    public static CompatibilityMatrix Build(IReadOnlyList<HostOffer> hosts, HandlerChain handlers, VersionAnswers? answers = null)
    {
        // Hosts that offer the same are one row and one column; not where an answer depends on who was asked.
        var keys = new ContentKeys();
        var offers = new List<DeviceDescriptor>();
        var asked = new List<HostName>();
        int[] forms = new int[hosts.Count];
        for (int i = 0; i < forms.Length; i++)
        {
            forms[i] = -1;
            if (hosts[i].Offer is not { } offer) continue;
            DescriptorContent.WriteWhole(keys, offer);
            if (answers is not null) keys.Write(hosts[i].Host.Value);
            forms[i] = keys.Number(out bool isNew);
            if (!isNew) continue;
            offers.Add(offer);
            asked.Add(hosts[i].Host);
        }
        DeviceDescriptor[] sources = [.. offers.Select(offer => offer.Instantiate())];
        return new CompatibilityMatrix([.. hosts.Select(host => host.Host)], forms, PairJudge.Of(sources, offers, handlers,
            answers is null ? (_, _) => VersionAnswer.NotAsked : (source, offer) => sources[source].VersionString is { } version
                ? answers(version, asked[offer]) : VersionAnswer.NotAsked));
    }
}

/// <summary>A move that works while the way back does not.</summary>
public readonly record struct OneWayEdge(HostName Source, HostName Destination, VerdictKind Back);
