using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Ownership;

public enum OwnershipDecision
{
    /// <summary>No attempt is open: the owner named runs the guest.</summary>
    Settled = 0,
    Undecided = 1,
    Committed = 2,
    Aborted = 3,
}

/// <summary>
/// The one row per guest: the only truth about who may run it. Changed by compare-and-swap alone; the functions here
/// say what each swap turns the row into, or null where it does not apply.
///
/// <code>
///   (none) --Start--> Settled(e) --Open(m)--> Undecided(e+1, m) --Commit--> Committed(e+1, owner = destination)
///                        ^                          |                            |
///                        |                          +--Abort--> Aborted(e+2) &lt;---+ only on proof that the
///                        +-------- Open applies to Settled, Committed and Aborted       destination never ran
/// </code>
/// </summary>
/// <param name="Owner">who may run the guest once the decision is known.</param>
/// <param name="Attempt">the migration the decision is about; null before the first.</param>
/// <param name="Destination">where the attempt goes; null when none is open.</param>
public sealed record GuestRow(
    GuestName Guest,
    HostName Owner,
    Epoch Epoch,
    OwnershipDecision Decision,
    MigrationId? Attempt,
    HostName? Destination)
{
    public static GuestRow Start(GuestName guest, HostName owner, Epoch epoch) =>
        new(guest, owner, epoch, OwnershipDecision.Settled, null, null);

    /// <summary>Opens an attempt under the next epoch. Null while another attempt is undecided, or to the owner itself.</summary>
    public GuestRow? Open(MigrationId attempt, HostName destination) =>
        Decision == OwnershipDecision.Undecided || destination == Owner
            ? null
            : this with
            {
                Epoch = Epoch.Next,
                Decision = OwnershipDecision.Undecided,
                Attempt = attempt,
                Destination = destination,
            };

    /// <summary>`undecided` is left once. Both votes are the caller's to have.</summary>
    public GuestRow? Commit(MigrationId attempt, Epoch epoch) =>
        Decision == OwnershipDecision.Undecided && Attempt == attempt && Epoch == epoch
            ? this with { Decision = OwnershipDecision.Committed, Owner = Destination!.Value }
            : null;

    public GuestRow? Abort(MigrationId attempt, Epoch epoch) =>
        Decision == OwnershipDecision.Undecided && Attempt == attempt && Epoch == epoch
            ? this with { Decision = OwnershipDecision.Aborted, Epoch = Epoch.Next }
            : null;

    /// <summary>`committed(e)` becomes `aborted(e+1)` solely on recorded proof that the destination never ran.</summary>
    public GuestRow? AbortOnProof(MigrationId attempt, Epoch epoch, HostName source) =>
        Decision == OwnershipDecision.Committed && Attempt == attempt && Epoch == epoch
            ? this with { Decision = OwnershipDecision.Aborted, Epoch = Epoch.Next, Owner = source }
            : null;
}
