using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>Who coordinates a migration: the term is what keeps it safe.</summary>
public interface IMigrationOwnership
{
    /// <summary>Takes a migration on under a term above every earlier one, durably. From here on appends under an
    /// earlier term are refused.</summary>
    ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken);
}
