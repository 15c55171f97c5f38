using MigrationCluster.Api;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>A coordinator's way to the agents of the cluster.</summary>
/// <remarks>Throws <see cref="AgentUnreachableException"/> where no answer comes, for unknown hosts too.</remarks>
public interface IAgents
{
    /// <returns>null: accepted, its outcome comes through <see cref="IAgentEventSink"/>; else why it was refused.</returns>
    Task<ApiError?> SendAsync(HostName agent, AgentCommand command, CancellationToken cancellationToken);

    Task<Inventory> InventoryAsync(HostName agent, CancellationToken cancellationToken);

    /// <returns>every reason why a guest of this spec could not live on that host; empty: it could.</returns>
    Task<IReadOnlyList<Reason>> AdmitAsync(HostName agent, string specJson, CancellationToken cancellationToken);

    /// <summary>Everything an agent's journal holds of one migration, both sides, in order.</summary>
    Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(HostName agent, MigrationId migration, CancellationToken cancellationToken);

    /// <summary>Every host that ever joined, by name.</summary>
    IReadOnlyList<AgentStanding> List();
}

/// <param name="Reachable">its feed answers.</param>
public sealed record AgentStanding(HostName Name, string Address, bool Reachable);
