using MigrationCluster.Api;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>Takes the coordinators' commands on this host.</summary>
public interface IAgentCommandHandler
{
    /// <summary>Answers once what the command led to is persisted; the work itself goes on and shows in the feed.</summary>
    /// <returns>null: accepted, or old news; else why it was refused.</returns>
    Task<ApiError?> HandleAsync(AgentCommand command, CancellationToken cancellationToken);
}
