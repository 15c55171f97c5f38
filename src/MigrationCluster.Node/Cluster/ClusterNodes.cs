using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Cluster;

/// <summary>The hosts of the cluster as operators see them.</summary>
public sealed class ClusterNodes(AgentDirectory agents, NodeIdentity self)
{
    public async Task<IReadOnlyList<NodeView>> ListAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(agents.List().Select(agent => ViewAsync(agent, cancellationToken)));

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
        };
    }
}
