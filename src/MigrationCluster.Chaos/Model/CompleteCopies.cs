using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Model;

/// <summary>
/// Whether a complete copy of the guest exists that may still come to run: SomebodyOwns holds only while one does. The source's copy
/// counts until the destination takes its permit; the destination's from Verified on, unless the row is aborted or the source has
/// voted Kept, after which that copy is older than what the source's guest has done since.
/// </summary>
internal static class CompleteCopies
{
    /// <param name="attempt">the epoch that the last attempt was opened at.</param>
    /// <param name="source">of the last attempt.</param>
    /// <param name="session">of the last attempt on its destination.</param>
    public static bool IsLeft(GuestRow row, Epoch attempt, ModelGuest? source, ModelGuest? destination, DestinationState session)
    {
        bool sourceLives = source is { Alive: true, Fence.Role: GuestRole.Owner };
        bool permitted = destination is { Fence.Permitted: true };
        if (row.Decision is OwnershipDecision.Aborted or OwnershipDecision.Settled) return sourceLives;
        bool loaded = destination is { Alive: true, DeadDevice: null }
            && session is { Phase: >= DestinationPhase.Verified and <= DestinationPhase.Resumed, Failure: null };
        bool kept = source is { Fence.Kept: true } && source.Fence.Fence.Epoch == attempt;
        return (sourceLives && !permitted) || (loaded && !(kept && row.Decision == OwnershipDecision.Undecided));
    }
}
