using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>How far each agent's feed has been taken in. A cursor follows what it stands for: losing its last moves means
/// reading events twice, which the machines take as old news.</summary>
public interface IFeedCursors
{
    /// <returns>0 for an agent never read.</returns>
    ValueTask<long> ReadAsync(HostName agent, CancellationToken cancellationToken);

    ValueTask MoveAsync(HostName agent, long number, CancellationToken cancellationToken);
}
