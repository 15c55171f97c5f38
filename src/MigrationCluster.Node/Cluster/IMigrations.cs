using MigrationCluster.Api;
using MigrationCluster.Node.Http;

namespace MigrationCluster.Node.Cluster;

/// <summary>The migrations that this coordinator plans, decides and remembers.</summary>
public interface IMigrations
{
    /// <summary>Plans a migration and begins it; answers once its plan is persisted. Refuses with every reason at once.</summary>
    Task<Answer<MigrationView>> CreateAsync(MigrateRequest request, CancellationToken cancellationToken);

    /// <summary>All of them, oldest first.</summary>
    Task<IReadOnlyList<MigrationView>> ListAsync(CancellationToken cancellationToken);

    Task<Answer<MigrationView>> GetAsync(string id, CancellationToken cancellationToken);

    /// <summary>Answers as soon as the view's version exceeds <paramref name="afterVersion"/>, at latest after 10 s.</summary>
    Task<Answer<MigrationView>> WatchAsync(string id, long afterVersion, CancellationToken cancellationToken);

    /// <summary>Answers when the request to cancel is persisted.</summary>
    Task<Answer<MigrationView>> CancelAsync(string id, CancellationToken cancellationToken);

    /// <summary>Answers when the bandwidth is persisted; the source is told until it says that it keeps to it.</summary>
    Task<Answer<MigrationView>> LimitBandwidthAsync(string id, BandwidthRequest request, CancellationToken cancellationToken);
}
