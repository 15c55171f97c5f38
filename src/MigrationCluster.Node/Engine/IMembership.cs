using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>The hosts of the cluster, remembered across restarts. Whether one can be reached now is not kept here.</summary>
public interface IMembership
{
    /// <summary>Adds a host, or changes the address of a known one.</summary>
    /// <returns>the member of that name when it is another node; nothing changed then. Else null.</returns>
    ValueTask<Member?> AdmitAsync(Member member, CancellationToken cancellationToken);

    ValueTask<IReadOnlyList<Member>> ListAsync(CancellationToken cancellationToken);
}

/// <param name="NodeId">made once per data directory: tells two nodes of one name apart.</param>
/// <param name="Address">of its HTTP API, e.g. http://127.0.0.1:7101.</param>
public sealed record Member(HostName Name, string NodeId, string Address, int WireVersion);
