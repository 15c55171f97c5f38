using MigrationCluster.Api;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>A coordinator's way to the agents of the cluster.</summary>
/// <remarks>Throws <see cref="AgentUnreachableException"/> where no answer comes, for unknown hosts too.</remarks>
public interface IAgents
{
    /// <returns>null: accepted, its outcome comes through <see cref="IAgentEventSink"/>; else why it was refused.</returns>
    Task<ApiError?> SendAsync(HostName agent, AgentCommand command, CancellationToken cancellationToken);

    /// <summary>What of guests and migrations is on a host, dead or alive.</summary>
    /// <returns>null: its release does not tell.</returns>
    Task<HostTraces?> TracesAsync(HostName agent, CancellationToken cancellationToken);

    Task<Inventory> InventoryAsync(HostName agent, CancellationToken cancellationToken);

    /// <returns>every reason why a guest of this spec could not live on that host; empty: it could.</returns>
    Task<IReadOnlyList<Reason>> AdmitAsync(
        HostName agent, string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken);

    /// <summary>What the host offers now; what is known of it (<see cref="List"/>) is renewed by it.</summary>
    /// <returns>null: its release does not tell.</returns>
    Task<AgentOffers?> OffersAsync(HostName agent, CancellationToken cancellationToken);

    /// <summary>Setup records of a running guest's devices.</summary>
    /// <returns>null: its release does not tell.</returns>
    Task<GuestSetup?> SetupAsync(HostName agent, GuestName guest, CancellationToken cancellationToken);

    /// <summary>Puts a source's opaque version string to the host's own attribute.</summary>
    Task<VersionAnswer> AskVersionAsync(HostName agent, string @class, string version, CancellationToken cancellationToken);

    /// <summary>Everything an agent's journal holds of one migration, both sides, in order.</summary>
    Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(HostName agent, MigrationId migration, CancellationToken cancellationToken);

    /// <summary>Every host that ever joined, by name.</summary>
    IReadOnlyList<AgentStanding> List();
}

/// <param name="Reachable">its feed answers; otherwise what is known of it may be stale.</param>
/// <param name="Offers">as it last told them; null: not heard yet.</param>
/// <param name="FreeMiB">as it last told it; null: not heard yet.</param>
public sealed record AgentStanding(
    HostName Name, string Address, bool Reachable, AgentOffers? Offers = null, int? FreeMiB = null);
