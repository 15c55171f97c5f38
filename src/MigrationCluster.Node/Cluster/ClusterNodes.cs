using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Cluster;

/// <summary>The hosts of the cluster as operators see them.</summary>
public sealed class ClusterNodes(AgentDirectory agents, NodeIdentity self)
{
    public async Task<IReadOnlyList<NodeView>> ListAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(agents.List().Select(agent => ViewAsync(agent, cancellationToken)));

    /// <summary>Answers once the node keeps to it.</summary>
    public async Task<Answer<NodeView>> LimitAsync(string name, BandwidthRequest request, CancellationToken cancellationToken)
    {
        if (agents.List().FirstOrDefault(agent => agent.Name.Value == name) is not { } agent)
            return HttpRefusal.NotFound(ErrorCodes.HostUnknown, $"there is no host {name}", "see `migctl node list`");
        try
        {
            if (await agents.Api(agent.Name).LimitAsync(request, cancellationToken) is { } refusal) return refusal;
        }
        catch (AgentUnreachableException error)
        {
            return HttpRefusal.Unreachable(error.Message, "ask again when it answers: `migctl node list`");
        }

        return await ViewAsync(agent, cancellationToken);
    }

    private async Task<NodeView> ViewAsync(AgentStanding agent, CancellationToken cancellationToken)
    {
        Inventory? inventory = null;
        try
        {
            if (agent.Reachable) inventory = await agents.InventoryAsync(agent.Name, cancellationToken);
        }
        catch (AgentUnreachableException)
        {
            // Gone since its feed last answered.
        }

        return new NodeView(
            agent.Name.Value, agent.Address, agent.Name == self.Name, inventory is not null,
            inventory?.MemoryMiB ?? 0, inventory?.FreeMiB ?? 0,
            inventory?.Templates.ToDictionary(t => t.Key, t => t.Value.Model ?? LaunchDevice.Foreign) ?? [],
            [.. inventory?.Guests.Select(guest => guest.Guest.Value) ?? []])
        {
            Incoming = inventory?.Guests.Where(guest => guest is { Fence.Role: GuestRole.Incoming })
                .ToDictionary(guest => guest.Guest.Value, guest => guest.Migration ?? "unknown") ?? [],
            MaxBytesPerSecond = inventory?.MaxBytesPerSecond,
        };
    }
}
