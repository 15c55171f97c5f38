using MigrationCluster.Api;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>A coordinator's connection to one agent.</summary>
/// <remarks>Every method throws <see cref="AgentUnreachableException"/> when there is no answer in time; then whether the
/// agent did what it was asked is unknown.</remarks>
public interface IAgentApi : IDisposable
{
    /// <returns>null: accepted.</returns>
    Task<ApiError?> SendAsync(AgentCommand command, CancellationToken cancellationToken);

    Task<EventBatch> ReadEventsAsync(long after, TimeSpan wait, CancellationToken cancellationToken);

    Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(MigrationId migration, CancellationToken cancellationToken);

    /// <returns>null: its release does not tell.</returns>
    Task<HostTraces?> TracesAsync(CancellationToken cancellationToken);

    Task<Inventory> InventoryAsync(CancellationToken cancellationToken);

    /// <summary>Has all outgoing transfers keep to another bandwidth together, until the daemon ends.</summary>
    /// <returns>null: they do.</returns>
    Task<HttpRefusal?> LimitAsync(BandwidthRequest request, CancellationToken cancellationToken);

    /// <returns>every reason why a guest of this spec could not live there; empty: it could.</returns>
    Task<IReadOnlyList<Reason>> AdmitAsync(
        string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken);

    /// <returns>null: its release does not tell.</returns>
    Task<AgentOffers?> OffersAsync(CancellationToken cancellationToken);

    Task<VersionAnswer> AskVersionAsync(string @class, string version, CancellationToken cancellationToken);

    /// <returns>null: its release does not tell.</returns>
    Task<GuestSetup?> SetupAsync(GuestName guest, CancellationToken cancellationToken);

    Task<Answer<HostedGuestState>> StartAsync(string specJson, Fence fence, CancellationToken cancellationToken);

    /// <returns>null: nothing of it lives there any more.</returns>
    Task<HttpRefusal?> StopAsync(GuestName guest, Fence fence, CancellationToken cancellationToken);

    Task<Answer<SelfCheckView>> CheckAsync(GuestName guest, CancellationToken cancellationToken);
}
