using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Engine;

/// <summary>Who coordinates a migration: a lease tells when nobody does any more, the term is what keeps it safe.</summary>
public interface IMigrationOwnership
{
    /// <summary>Takes a migration on under a term above every earlier one, durably. From here on appends under an
    /// earlier term are refused.</summary>
    ValueTask<Term> AcquireAsync(MigrationId migration, CancellationToken cancellationToken);

    /// <summary>Says that this coordinator lives, for <paramref name="lease"/> by the store's clock, and takes on every migration
    /// that has not ended and that nobody alive coordinates, each under a new term; also one that was given up before its first coordinator, slow as
    /// it was, opened the guest's row for it, which nobody else would close.</summary>
    /// <param name="mine">the migrations it coordinates; one of its own that is not among them (it was restarted) is taken on again.</param>
    /// <param name="address">where other coordinators reach it; null: not yet known.</param>
    ValueTask<Tenure> RenewAsync(
        IReadOnlyCollection<MigrationId> mine, string? address, TimeSpan lease, CancellationToken cancellationToken);

    /// <summary>This coordinator ends in good order: others take its migrations on at once.</summary>
    ValueTask ResignAsync(CancellationToken cancellationToken);

    /// <summary>Ends when another coordinator has resigned: a round looks at once what it left. Only for speed: rounds come anyway.</summary>
    Task ToldAsync(CancellationToken cancellationToken);

    /// <summary>Nothing of a migration is left to do: nobody takes it on again.</summary>
    /// <param name="entries">how many its journal holds, which say so.</param>
    /// <returns>false: it holds another number, for the server crashed meanwhile and lost its last ones. Then nothing has changed.</returns>
    ValueTask<bool> EndAsync(MigrationId migration, int entries, CancellationToken cancellationToken);

    /// <returns>where the coordinator of a migration answers; null: nobody alive coordinates it, or its address is not known.</returns>
    ValueTask<string?> CoordinatorOfAsync(MigrationId migration, CancellationToken cancellationToken);
}

/// <param name="Taken">taken on just now.</param>
/// <param name="Lost">of the caller's own: another coordinator has them now.</param>
public sealed record Tenure(IReadOnlyList<(MigrationId Migration, Term Term)> Taken, IReadOnlyList<MigrationId> Lost);
