using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>The agents of this coordinator's cluster: who they are, whether they answer, and their feeds.</summary>
/// <remarks>Agents are remembered: after a restart their feeds are read on before they say hello again.</remarks>
public sealed class AgentDirectory(
    IMembership membership, IFeedCursors cursors, Func<Member, IAgentApi> connect, Func<IAgentEventSink> sink, TimeProvider time,
    ILogger<AgentDirectory> logger)
    : IAgents, IHostedService, IDisposable
{
    private static readonly TimeSpan BetweenRefreshes = TimeSpan.FromSeconds(1);

    private readonly SemaphoreSlim _changing = new(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, AgentLink> _links = new(StringComparer.Ordinal);
    private readonly SharedParts _parts = new();
    private Task _refreshing = Task.CompletedTask;

    public Task<ApiError?> SendAsync(HostName agent, AgentCommand command, CancellationToken cancellationToken) =>
        Api(agent).SendAsync(command, cancellationToken);

    public Task<HostTraces?> TracesAsync(HostName agent, CancellationToken cancellationToken) =>
        Api(agent).TracesAsync(cancellationToken);

    public Task<Inventory> InventoryAsync(HostName agent, CancellationToken cancellationToken) =>
        Api(agent).InventoryAsync(cancellationToken);

    public Task<IReadOnlyList<Reason>> AdmitAsync(
        HostName agent, string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken) =>
        Api(agent).AdmitAsync(specJson, configuration, cancellationToken);

    public Task<AgentOffers?> OffersAsync(HostName agent, CancellationToken cancellationToken) =>
        Link(agent).ReadOffersAsync(cancellationToken);

    public Task<VersionAnswer> AskVersionAsync(HostName agent, string @class, string version, CancellationToken cancellationToken) =>
        Api(agent).AskVersionAsync(@class, version, cancellationToken);

    public Task<GuestSetup?> SetupAsync(HostName agent, GuestName guest, CancellationToken cancellationToken) =>
        Api(agent).SetupAsync(guest, cancellationToken);

    public Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(
        HostName agent, MigrationId migration, CancellationToken cancellationToken) =>
        Api(agent).ReadMigrationAsync(migration, cancellationToken);

    public IReadOnlyList<AgentStanding> List()
    {
        lock (_lock)
            return [.. _links.Values.Select(link => new AgentStanding(
                link.Member.Name, link.Member.Address, link.Reachable,
                link is { Reachable: true, OffersAreOld: true } ? null : link.Offers, link.FreeMiB))];
    }

    /// <exception cref="AgentUnreachableException">no host of this name ever joined.</exception>
    public IAgentApi Api(HostName agent) => Link(agent).Api;

    private AgentLink Link(HostName agent) =>
        Find(agent) ?? throw new AgentUnreachableException(agent, "it has never joined this cluster");

    /// <summary>An agent said hello: remembers it and reads its feed from now on.</summary>
    /// <returns>null: admitted; else why not.</returns>
    public async Task<HttpRefusal?> AdmitAsync(AgentHello hello, CancellationToken cancellationToken)
    {
        var member = new Member(hello.Name, hello.NodeId, hello.Address, hello.WireVersion);
        await _changing.WaitAsync(CancellationToken.None);
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
        _refreshing = RefreshAsync();
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stop.Cancel();
        await _refreshing;
        List<AgentLink> links;
        lock (_lock)
        {
            links = [.. _links.Values];
            _links.Clear();
        }

        foreach (var link in links) await link.DisposeAsync();
    }

    public void Dispose()
    {
        _changing.Dispose();
        _stop.Dispose();
    }

    /// <summary>An agent says hello to one coordinator; the others find it in the store.</summary>
    private async Task RefreshAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                foreach (var member in await membership.ListAsync(_stop.Token))
                {
                    await _changing.WaitAsync(CancellationToken.None);
                    try
                    {
                        if (Find(member.Name)?.Member != member) await LinkAsync(member);
                    }
                    finally
                    {
                        _changing.Release();
                    }
                }
            }
            catch (Exception) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (IOException)
            {
                // The store cannot be read now, which is told elsewhere; those known are still reached.
            }

            await Task.Delay(BetweenRefreshes, time, _stop.Token).ConfigureAwait(Waiting.Quietly);
        }
    }

    private AgentLink? Find(HostName agent)
    {
        lock (_lock) return _links.GetValueOrDefault(agent.Value);
    }

    private async Task<AgentLink> LinkAsync(Member member)
    {
        var old = Find(member.Name);
        if (old?.Member == member)
        {
            old.Wake();
            return old;
        }

        if (old is not null) await old.DisposeAsync();
        // The sink sends commands through this directory: it is asked for only now that both exist.
        var link = new AgentLink(member, connect(member), sink(), cursors, _parts, time, logger);
        lock (_lock) _links[member.Name.Value] = link;
        return link;
    }
}
