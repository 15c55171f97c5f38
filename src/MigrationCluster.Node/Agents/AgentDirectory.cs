using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>The agents of this coordinator's cluster: who they are, whether they answer, and their feeds.</summary>
/// <remarks>Agents are remembered: after a restart their feeds are read on before they say hello again.</remarks>
public sealed class AgentDirectory(
    IMembership membership, IFeedCursors cursors, IServiceProvider services, TimeProvider time, ILogger<AgentDirectory> logger)
    : IAgents, IHostedService, IDisposable
{
    private readonly SemaphoreSlim _changing = new(1);
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, AgentLink> _links = new(StringComparer.Ordinal);

    public Task<ApiError?> SendAsync(HostName agent, AgentCommand command, CancellationToken cancellationToken) =>
        Api(agent).SendAsync(command, cancellationToken);

    public Task<Inventory> InventoryAsync(HostName agent, CancellationToken cancellationToken) =>
        Api(agent).InventoryAsync(cancellationToken);

    public Task<IReadOnlyList<Reason>> AdmitAsync(
        HostName agent, string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken) =>
        Api(agent).AdmitAsync(specJson, configuration, cancellationToken);

    public Task<AgentOffers> OffersAsync(HostName agent, CancellationToken cancellationToken) =>
        Link(agent).ReadOffersAsync(cancellationToken);

    public Task<VersionAnswer> AskVersionAsync(HostName agent, string @class, string version, CancellationToken cancellationToken) =>
        Api(agent).AskVersionAsync(@class, version, cancellationToken);

    public Task<GuestSetup> SetupAsync(HostName agent, GuestName guest, CancellationToken cancellationToken) =>
        Api(agent).SetupAsync(guest, cancellationToken);

    public IReadOnlyList<AgentStanding> List()
    {
        lock (_lock)
            return [.. _links.Values.Select(link => new AgentStanding(
                link.Member.Name, link.Member.Address, link.Reachable, link.Offers, link.FreeMiB))];
    }

    /// <exception cref="AgentUnreachableException">no host of this name ever joined.</exception>
    public AgentApi Api(HostName agent) => Link(agent).Api;

    private AgentLink Link(HostName agent)
    {
        lock (_lock)
            return _links.TryGetValue(agent.Value, out var link)
                ? link
                : throw new AgentUnreachableException(agent, "it has never joined this cluster");
    }

    /// <summary>An agent said hello: remembers it and reads its feed from now on.</summary>
    /// <returns>null: admitted; else why not.</returns>
    public async Task<HttpRefusal?> AdmitAsync(AgentHello hello, CancellationToken cancellationToken)
    {
        var member = new Member(hello.Name, hello.NodeId, hello.Address, hello.WireVersion);
        await _changing.WaitAsync(cancellationToken);
        try
        {
            if (await membership.AdmitAsync(member, cancellationToken) is { } other)
                return HttpRefusal.Conflict(
                    ErrorCodes.HostNameTaken, $"another node, at {other.Address}, is already host {hello.Name} of this cluster",
                    "give each node a --name of its own");
            (await LinkAsync(member)).Heard(hello);
            return null;
        }
        finally
        {
            _changing.Release();
        }
    }

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var member in await membership.ListAsync(cancellationToken)) await LinkAsync(member);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        List<AgentLink> links;
        lock (_lock)
        {
            links = [.. _links.Values];
            _links.Clear();
        }

        foreach (var link in links) await link.DisposeAsync();
    }

    public void Dispose() => _changing.Dispose();

    private async Task<AgentLink> LinkAsync(Member member)
    {
        AgentLink? old;
        lock (_lock) old = _links.GetValueOrDefault(member.Name.Value);
        if (old?.Member == member)
        {
            old.Wake();
            return old;
        }

        if (old is not null) await old.DisposeAsync();
        // The sink sends commands through this directory: it is asked for only now that both exist.
        var link = new AgentLink(member, services.GetRequiredService<IAgentEventSink>(), cursors, time, logger);
        lock (_lock) _links[member.Name.Value] = link;
        return link;
    }
}
