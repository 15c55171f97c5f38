using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <summary>What an agent keeps: the numbered events of its machines, which are the feed that coordinators read, too.</summary>
public interface IAgentJournal
{
    /// <summary>Ends with the next append, or cancelled. Take it before reading, then wait on it: no append is missed.</summary>
    Task AppendedAsync(CancellationToken cancellationToken);

    /// <summary>Appends all events or none. On disk before it returns if one of them is durable; else they survive the daemon, and a
    /// power cut only as far as something durable was appended after them.</summary>
    void Append(MigrationId migration, Side side, IReadOnlyList<AgentEvent> events);

    /// <summary>The feed: at most <paramref name="max"/> events of all migrations numbered above <paramref name="number"/>.</summary>
    IReadOnlyList<NumberedAgentEvent> ReadAfter(long number, int max);

    IReadOnlyList<NumberedAgentEvent> ReadMigration(MigrationId migration, Side side);

    /// <summary>Every migration this host took part in, oldest first.</summary>
    IReadOnlyList<(MigrationId Migration, Side Side)> ListMigrations();
}
