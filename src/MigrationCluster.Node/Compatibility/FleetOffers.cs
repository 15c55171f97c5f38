using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Compatibility;

/// <summary>What every host of the cluster could make, as far as it has told.</summary>
public sealed class FleetOffers(IAgents agents, VersionQuestions questions)
{
    /// <summary>Hosts that answer and have not told yet are asked; what the others told last stays, and is marked.</summary>
    public async Task<IReadOnlyList<AgentStanding>> ReadAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(agents.List().Select(async agent =>
        {
            if (agent.Offers is not null || !agent.Reachable) return agent;
            try
            {
                return agent with { Offers = await agents.OffersAsync(agent.Name, cancellationToken) };
            }
            catch (AgentUnreachableException)
            {
                return agent;
            }
        }));

    /// <summary>Puts the version strings of a class to every host that has an attribute of its own for it.</summary>
    /// <returns>null: no host has one.</returns>
    public async Task<VersionAnswers?> AskAsync(string @class, IReadOnlyList<AgentStanding> hosts, CancellationToken cancellationToken) =>
        (await questions.AskAsync(
            Of(@class, hosts).Where(host => host.Offer is not null).Select(host => (@class, host.Offer!)),
            [.. hosts.Where(host => host is { Offers: not null, Reachable: true }).Select(host => (host.Name, host.Offers!))],
            cancellationToken)).GetValueOrDefault(@class);

    public static IReadOnlyList<HostOffer> Of(string @class, IReadOnlyList<AgentStanding> hosts) =>
        [.. hosts.Select(host => new HostOffer(host.Name, host.Offers?.Classes.GetValueOrDefault(@class)))];

    /// <summary>Every class that any host can make, by name.</summary>
    public static IReadOnlyList<string> Classes(IReadOnlyList<AgentStanding> hosts) =>
        [.. hosts.SelectMany(host => host.Offers?.Classes.Keys ?? []).Distinct().Order(StringComparer.Ordinal)];

    /// <returns>null: some host can make it.</returns>
    public static HttpRefusal? RefuseClass(string @class, IReadOnlyList<AgentStanding> hosts)
    {
        var known = Classes(hosts);
        return known.Contains(@class) ? null : HttpRefusal.NotFound(
            ErrorCodes.ClassUnknown, $"no host can make a device of class '{@class}'",
            known.Count == 0 ? "no host has told yet what it can make: ask again in a few seconds" : $"choose one of {string.Join(", ", known)}");
    }
}
