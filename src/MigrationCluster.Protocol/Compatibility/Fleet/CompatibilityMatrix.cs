using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Which host takes a device of one class from which other host, in each direction: the source's template made with its default
/// values, put to the destination's offer.
/// </summary>
public sealed class CompatibilityMatrix
{
    private readonly VerdictKind[] _kinds;

    private CompatibilityMatrix(IReadOnlyList<HostName> hosts, VerdictKind[] kinds)
    {
        Hosts = hosts;
        _kinds = kinds;
        Islands = Island.Of(this);
    }

    public IReadOnlyList<HostName> Hosts { get; }

    /// <summary>Indices into <see cref="Hosts"/>.</summary>
    public VerdictKind this[int source, int destination] => _kinds[source * Hosts.Count + destination];

    /// <summary>The largest first. A host that cannot make the class is on none.</summary>
    public IReadOnlyList<Island> Islands { get; }

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

    public static CompatibilityMatrix Build(IReadOnlyList<HostOffer> hosts, HandlerChain handlers, VersionAnswers? answers = null)
    {
        var kinds = new VerdictKind[hosts.Count * hosts.Count];
        for (int source = 0; source < hosts.Count; source++)
            if (hosts[source].Offer?.Instantiate() is { } device)
                for (int destination = 0; destination < hosts.Count; destination++)
                    if (hosts[destination] is { Offer: { } offer } host)
                        kinds[source * hosts.Count + destination] = handlers.Judge(new Candidate(device, offer,
                            device.VersionString is { } version && answers is not null ? answers(version, host.Host) : VersionAnswer.NotAsked)).Verdict.Kind();
        return new CompatibilityMatrix([.. hosts.Select(host => host.Host)], kinds);
    }
}

/// <summary>A move that works while the way back does not.</summary>
public readonly record struct OneWayEdge(HostName Source, HostName Destination, VerdictKind Back);
