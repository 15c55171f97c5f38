using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>
/// Whether a complete copy of the guest exists that may still come to run: SomebodyOwns holds only while one does. The source's copy
/// counts until the destination takes its permit; the destination's from Verified on, unless the row is aborted or the source has
/// voted Kept, after which that copy is older than what the source's guest has done since.
/// </summary>
internal static class CompleteCopies
{
    /// <summary>DESIGN's table, of a whole host: what nobody can prove about its fence file costs the guest, even where a complete copy is left.
    /// A source whose yield no coordinator has heard of may have kept the guest; a destination that may have been told to run may have run.</summary>
    public static bool IsUnprovable(Space space, ReadOnlySpan<int> state, int deadHost)
    {
        int attempt = space.Begun(state) - 1;
        var journal = space.Journal(state, attempt);
        return space.HostOf(state, attempt, Side.Source) == deadHost
            ? !journal.Yielded && space.Rows[state[Layout.Row]].Decision == OwnershipDecision.Undecided
            : journal is { Decision: OwnershipDecision.Committed, DestinationDone: false };
    }

    public static bool IsLeft(Space space, ReadOnlySpan<int> state)
    {
        int attempt = space.Begun(state) - 1;
        var row = space.Rows[state[Layout.Row]];
        var plan = space.Journal(state, attempt).Plan!;
        var source = space.GuestOn(state, space.HostOf(state, attempt, Side.Source));
        var destination = space.GuestOn(state, space.HostOf(state, attempt, Side.Destination));
        bool sourceLives = source is { Alive: true, Fence.Role: GuestRole.Owner };
        bool permitted = destination is { Fence.Permitted: true };
        if (row.Decision is OwnershipDecision.Aborted or OwnershipDecision.Settled) return sourceLives;
        bool loaded = destination is { Alive: true }
            && space.Destinations.States[state[Layout.At(attempt, Layout.Destination)]] is
            { Phase: >= DestinationPhase.Verified and <= DestinationPhase.Resumed, Failure: null };
        bool kept = source is { Fence.Kept: true } && source.Fence.Fence.Epoch == plan.Fence.Epoch;
        return (sourceLives && !permitted) || (loaded && !(kept && row.Decision == OwnershipDecision.Undecided));
    }
}
