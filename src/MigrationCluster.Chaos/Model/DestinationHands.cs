using System.Collections.Immutable;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Model;

/// <summary>What an effect of the destination machine does to the guest process, and the command it ends in.</summary>
/// <param name="Result">null: it goes on waiting.</param>
internal readonly record struct DestinationOutcome(ModelGuest? Guest, DestinationCommand? Result);

/// <summary>Carries out the destination machine's effects on a model guest, as the agent's session does on a real one.</summary>
internal sealed class DestinationHands(Surroundings surroundings, ImmutableArray<PlannedDevice> shape)
{
    private static readonly Refusal Mismatch = new("device.parameter-mismatch", "the records do not match", "use the same template");

    public DestinationOutcome Perform(
        HostName host, DestinationState state, ModelGuest? guest, DestinationEffect effect, Chance chance, Incoming stream)
    {
        switch (effect)
        {
            case DestinationEffect.Discard discard:
                return new DestinationOutcome(Discard(guest, discard.Fence), new DestinationCommand.DiscardEnded(default));
            case DestinationEffect.ProveNeverRan prove:
                return Prove(guest, prove.Fence);
            case DestinationEffect.AwaitWord:
                return new DestinationOutcome(guest, new DestinationCommand.Expired(TimeSpan.FromSeconds(120), default));
            case DestinationEffect.LaunchIncoming launch:
                return chance == Chance.Fails
                    ? Failed(guest, null, "injected", "injected")
                    : Launch(host, state, guest, launch.Fence);
        }

        if (guest is not { Alive: true })
            return new DestinationOutcome(guest, new DestinationCommand.GuestDied("the guest process died", default));
        var device = (effect as DestinationEffect.MoveDevice)?.Device;
        if (device is { } member && chance == Chance.SaysNo) return Resist(guest, member);
        // Nothing has failed: it is tried again.
        if (effect is DestinationEffect.ReopenTransfer && state.Phase > DestinationPhase.Receiving && chance != Chance.Works)
            return new DestinationOutcome(guest, null);
        if (chance == Chance.Fails || (chance == Chance.FailsAfterwards && device is not null))
            return Failed(device is { } broken ? guest.Break(broken) : guest, device, "injected", "injected");
        var outcome = effect switch
        {
            DestinationEffect.ConfirmSetup => new DestinationOutcome(guest, new DestinationCommand.SetupAnswered(
                chance == Chance.SaysNo ? [Mismatch] : [], default)),
            DestinationEffect.MoveDevice move => Move(guest, move),
            DestinationEffect.Isolate isolate => new DestinationOutcome(
                guest.Isolate(isolate.Device), new DestinationCommand.DeviceIsolated(isolate.Device, default)),
            DestinationEffect.ReopenTransfer =>
                new DestinationOutcome(guest, new DestinationCommand.TransferOpened("127.0.0.1:1", "00", default)),
            DestinationEffect.Receive => stream switch
            {
                Incoming.Complete => new DestinationOutcome(guest, new DestinationCommand.StreamReceived(SourceHands.Digest, default)),
                Incoming.Broken => Failed(guest, null, "transfer.broken", "the source is gone"),
                _ => new DestinationOutcome(guest, null),
            },
            DestinationEffect.VoteVerified vote => Vote(guest, Protocol.Ownership.Vote.Verified, vote.Digest),
            DestinationEffect.TakePermit permit => guest.Bind(permit.Fence) is { } bound
                ? Vote(bound, Protocol.Ownership.Vote.Permit, null)
                : Failed(guest, null, "fence.older", "pre-empted"),
            _ => throw new InvalidOperationException(effect.ToString()),
        };
        return chance == Chance.FailsAfterwards ? Failed(outcome.Guest, null, "injected", "the answer was lost") : outcome;
    }

    private DestinationOutcome Launch(HostName host, DestinationState state, ModelGuest? guest, Fence fence)
    {
        if (guest is { Alive: true })
            return guest.Fence.Fence.Epoch == fence.Epoch && guest.Fence.Role == GuestRole.Incoming
                ? Launched(guest)
                : Failed(guest, null, "guest.exists", "a guest process lives here");
        var (record, refusal) = FenceLaunch.Decide(guest?.Fence, state.Guest, fence, incoming: true);
        return record is null
            ? Failed(guest, null, "guest.launch-failed", refusal!)
            : Launched(ModelGuest.Launch(host, record, shape));
    }

    private static DestinationOutcome Launched(ModelGuest guest) => new(
        guest, new DestinationCommand.IncomingLaunched("127.0.0.1:1", "00", [.. guest.Devices.Values], default));

    /// <summary>Only what is incoming, and no newer than this order, is discarded: an owner here belongs to somebody else.</summary>
    private ModelGuest? Discard(ModelGuest? guest, Fence fence)
    {
        bool mine = guest is { Fence.Role: GuestRole.Incoming } && guest.Fence.Fence <= fence;
        if (guest is null || !(mine || surroundings.DiscardsWhatRuns)) return guest;
        return guest.Die().Bind(fence) ?? guest.Die();
    }

    /// <summary>A guest that took its permit is never touched: it may be running.</summary>
    private static DestinationOutcome Prove(ModelGuest? guest, Fence fence)
    {
        if (guest is not { Fence: { Permitted: false, Role: GuestRole.Incoming } })
            return new DestinationOutcome(guest, new DestinationCommand.ProofEnded(false, "its fence file holds a permit", default));
        var dead = guest.Die();
        return dead.Bind(fence) is { } raised
            ? new DestinationOutcome(raised, new DestinationCommand.ProofEnded(true, "", default))
            : new DestinationOutcome(dead, new DestinationCommand.ProofEnded(false, "its fence file is newer", default));
    }

    private static DestinationOutcome Move(ModelGuest guest, DestinationEffect.MoveDevice move)
    {
        var (moved, refusal) = guest.Move(move.Device, move.Target);
        return refusal is null
            ? new DestinationOutcome(moved, new DestinationCommand.DeviceArrived(move.Device, move.Target, default))
            : Failed(guest, move.Device, "device.refused", refusal);
    }

    /// <summary>A device that is to run refuses, and rests where it stands.</summary>
    private static DestinationOutcome Resist(ModelGuest guest, DeviceName device) => new(guest, new DestinationCommand.Failed(
        device, "injected", "injected", default, guest.Devices[device.Value].State));

    private static DestinationOutcome Vote(ModelGuest guest, Vote vote, string? digest)
    {
        var (voted, refusal) = guest.Cast(vote, digest);
        if (refusal is not null) return Failed(guest, null, "vote.refused", refusal);
        return new DestinationOutcome(voted, vote == Protocol.Ownership.Vote.Verified
            ? new DestinationCommand.VerifiedVoted(new Dictionary<string, string>(), default)
            : new DestinationCommand.PermitVoted(default));
    }

    private static DestinationOutcome Failed(ModelGuest? guest, DeviceName? device, string code, string reason) =>
        new(guest, new DestinationCommand.Failed(device, code, reason, default));
}
