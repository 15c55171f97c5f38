using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Agents;

/// <summary>Takes in what the agents' feeds say.</summary>
public interface IAgentEventSink
{
    /// <summary>Returns once what follows from the events is persisted; only then is the feed read on. After a failure
    /// or a restart the same events come again.</summary>
    /// <param name="events">in order; empty when there is only progress to tell.</param>
    /// <param name="progress">a snapshot; migrations it does not name move nothing on that host now.</param>
    Task OnEventsAsync(
        HostName agent, IReadOnlyList<NumberedAgentEvent> events, IReadOnlyList<AgentProgress> progress,
        CancellationToken cancellationToken);
}
