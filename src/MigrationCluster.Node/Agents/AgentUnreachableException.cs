using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Agents;

/// <summary>An agent did not answer, or not sensibly. Says nothing about what it did.</summary>
public sealed class AgentUnreachableException(HostName agent, string reason, Exception? inner = null)
    : IOException($"host {agent} does not answer: {reason}", inner)
{
    public HostName Agent { get; } = agent;
}
