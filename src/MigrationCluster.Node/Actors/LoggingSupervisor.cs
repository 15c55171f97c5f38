using Microsoft.Extensions.Logging;

namespace MigrationCluster.Node.Actors;

/// <summary>The root of supervision: says what failed. The daemon goes on.</summary>
public sealed class LoggingSupervisor(ILogger<LoggingSupervisor> logger) : ISupervisor
{
    public void ChildFailed(ActorFailure failure) =>
        logger.LogError(
            failure.Error, "actor {Actor} failed{While}; it restarts from its journal",
            failure.Actor, failure.Recovering ? " while recovering" : "");
}
