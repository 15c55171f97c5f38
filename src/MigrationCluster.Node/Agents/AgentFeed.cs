using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>The agent's end of its feed: what a coordinator that reads on is answered with.</summary>
public sealed class AgentFeed(IAgentJournal journal, IProgressSource progress, TimeProvider time)
{
    private const int MostEvents = 256;
    private static readonly TimeSpan LongestWait = TimeSpan.FromSeconds(30);

    /// <summary>Answers at once when there is an event above <paramref name="after"/>, else when one comes or the wait is over.</summary>
    /// <param name="cancellationToken">ends the wait, too.</param>
    public async Task<EventBatch> ReadAsync(long after, TimeSpan wait, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(wait < LongestWait ? wait : LongestWait, time);
        using var until = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        while (true)
        {
            // Taken before the read: an append between the two ends the wait.
            var appended = journal.AppendedAsync(until.Token);
            var events = journal.ReadAfter(after, MostEvents);
            if (events.Count > 0 || until.IsCancellationRequested) return new EventBatch(events, progress.Snapshot());
            await appended.ConfigureAwait(Waiting.Quietly);
        }
    }

    /// <summary>Everything of one migration, both sides, in order.</summary>
    public IReadOnlyList<AgentEvent> ReadMigration(MigrationId migration) =>
    [
        .. journal.ReadMigration(migration, Side.Source).Concat(journal.ReadMigration(migration, Side.Destination))
            .OrderBy(numbered => numbered.Number).Select(numbered => numbered.Event),
    ];
}
