using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Journal;

/// <param name="Number">position in the agent's feed: grows, has gaps, is never used twice.</param>
public sealed record NumberedAgentEvent(long Number, Side Side, AgentEvent Event);
