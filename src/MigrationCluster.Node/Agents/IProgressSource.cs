namespace MigrationCluster.Node.Agents;

/// <summary>Knows how far the transfers of this host are.</summary>
public interface IProgressSource
{
    /// <summary>One entry a migration that is moving data from here; empty when none is. Cheap; any thread.</summary>
    IReadOnlyList<AgentProgress> Snapshot();

    /// <summary>The sessions that have not ended.</summary>
    IReadOnlyList<SessionTrace> Sessions();
}
