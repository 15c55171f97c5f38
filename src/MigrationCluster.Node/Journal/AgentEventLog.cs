using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <summary>One side of one migration as the log of its machine.</summary>
public sealed class AgentEventLog(IAgentJournal journal, MigrationId migration, Side side) : IEventLog<AgentEvent>
{
    public ValueTask AppendAsync(IReadOnlyList<AgentEvent> events, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        journal.Append(migration, side, events);
        return ValueTask.CompletedTask;
    }

    public ValueTask<IReadOnlyList<AgentEvent>> ReadAsync(CancellationToken cancellationToken) =>
        new([.. journal.ReadMigration(migration, side).Select(numbered => numbered.Event)]);
}
