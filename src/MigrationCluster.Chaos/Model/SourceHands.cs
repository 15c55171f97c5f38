using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Model;

/// <summary>What an effect of the source machine does to the guest process, and the command it ends in.</summary>
/// <param name="Sent">the destination has everything now, whether or not the source hears of it.</param>
internal readonly record struct SourceOutcome(ModelGuest? Guest, SourceCommand Result, bool Sent = false);

/// <summary>Carries out the source machine's effects on a model guest, as the agent's session does on a real one.</summary>
internal sealed class SourceHands(Surroundings surroundings)
{
    public const string Digest = "digest";

    private static readonly TransferTotals NoTotals = new(0, 0, 0, new Dictionary<string, long>());

    /// <param name="peerReceives">the destination's session takes data, so that a transfer can get through.</param>
    public SourceOutcome Perform(SourceState state, ModelGuest? guest, SourceEffect effect, Chance chance, bool peerReceives)
    {
        if (guest is not { Alive: true })
            return effect is SourceEffect.Release ? new SourceOutcome(guest, Released) : Died(guest);
        var asked = (effect as SourceEffect.MoveDevice)?.Device;
        if (asked is { } member && chance == Chance.SaysNo) return Resist(guest, member);
        if (chance == Chance.Fails || (chance == Chance.FailsAfterwards && asked is not null)) return Fail(guest, effect);
        var outcome = effect switch
        {
            SourceEffect.ReadSetup read => guest.Bind(read.Fence) is { } bound
                ? new SourceOutcome(bound, new SourceCommand.SetupRead(
                    [], [.. bound.Devices.Values.Select(device => device with { Standing = MemberStanding.Member })], default))
                : Failed(guest, null, "fence.older", "pre-empted"),
            SourceEffect.ConnectTransfer connect => peerReceives
                ? new SourceOutcome(
                    surroundings.Connect(guest, state.Fence.Epoch), new SourceCommand.TransferConnected(connect.Opening, default))
                : Broke(guest),
            SourceEffect.RunIteration run => Iterate(guest, run, chance, peerReceives),
            SourceEffect.PauseMachine => Move(state, guest with { HasDeadline = true }, DeviceName.Machine, DeviceState.Stop),
            SourceEffect.MoveDevice move => Move(state, guest, move.Device, move.Target),
            SourceEffect.Isolate isolate => guest.Bind(state.Fence) is { } bound
                ? new SourceOutcome(bound.Isolate(isolate.Device), new SourceCommand.DeviceIsolated(isolate.Device, default))
                : Failed(guest, null, "fence.older", "pre-empted"),
            SourceEffect.SendFinal => SendFinal(guest, peerReceives),
            SourceEffect.CastVote cast => Cast(guest, cast),
            SourceEffect.Release => new SourceOutcome(guest.Die(), Released),
            _ => throw new InvalidOperationException(effect.ToString()),
        };
        if (chance == Chance.FailsAfterwards && effect is SourceEffect.ConnectTransfer or SourceEffect.RunIteration or SourceEffect.SendFinal)
            return Broke(effect is SourceEffect.RunIteration ? surroundings.IterationBroke(guest) : outcome.Guest) with
            {
                Sent = outcome.Sent,
            };
        return chance == Chance.FailsAfterwards
            ? Failed(outcome.Guest, null, "injected", "the answer was lost") with
            {
                Sent = outcome.Sent,
            }
            : outcome;
    }

    /// <summary>The process died. Its file is read under flock; without Kept in it, Yielded is written on its behalf.</summary>
    public static SourceOutcome Died(ModelGuest? guest)
    {
        if (guest is null) return new SourceOutcome(null, new SourceCommand.GuestDied(false, "no fence file", default));
        var (after, refusal) = guest.Cast(Vote.Yielded);
        return new SourceOutcome(after, new SourceCommand.GuestDied(refusal is null, "the guest process died", default));
    }

    private SourceOutcome Fail(ModelGuest guest, SourceEffect effect)
    {
        var device = effect switch
        {
            SourceEffect.MoveDevice move => move.Device,
            SourceEffect.PauseMachine => DeviceName.Machine,
            _ => (DeviceName?)null,
        };
        var after = effect switch
        {
            SourceEffect.RunIteration => surroundings.IterationBroke(guest),
            SourceEffect.MoveDevice move => guest.Break(move.Device),
            _ => guest,
        };
        return Failed(after, device, "injected", "injected");
    }

    private SourceOutcome Iterate(ModelGuest guest, SourceEffect.RunIteration run, Chance chance, bool peerReceives) =>
        peerReceives
            ? new SourceOutcome(guest, new SourceCommand.IterationEnded(
                new PassObservation(run.Iteration, TimeSpan.FromSeconds(1), 1 << 20, chance == Chance.SaysNo ? 1L << 40 : 0), 1, default))
            : Broke(surroundings.IterationBroke(guest));

    /// <summary>On the way back a guest that kept itself stands elsewhere than the session thinks: read, then move.</summary>
    private static SourceOutcome Move(SourceState state, ModelGuest guest, DeviceName device, DeviceState target)
    {
        if (state.Phase == SourcePhase.Keeping)
        {
            if (guest.Bind(state.Fence) is not { } bound) return Failed(guest, device, "fence.older", "pre-empted");
            guest = bound;
            var stands = guest.Devices[device.Value].State;
            if (stands != state.Devices[device.Value].State)
                return new SourceOutcome(guest, new SourceCommand.DeviceArrived(device, stands, default));
        }

        var (moved, refusal) = guest.Move(device, target);
        return refusal is null
            ? new SourceOutcome(moved, new SourceCommand.DeviceArrived(device, target, default))
            : Failed(guest, device, "device.refused", refusal);
    }

    /// <summary>A device that is to run again refuses, and rests where it stands.</summary>
    private static SourceOutcome Resist(ModelGuest guest, DeviceName device) => new(guest, new SourceCommand.Failed(
        device, "injected", "injected", default, guest.Devices[device.Value].State));

    private SourceOutcome SendFinal(ModelGuest guest, bool peerReceives)
    {
        if (guest.Devices.Values.Any(device => device.State != DeviceState.StopCopy))
            return Failed(guest, null, "device.refused", "final state is read in StopCopy only");
        if (!peerReceives) return Broke(guest);
        var sent = guest.Debt == Debt.Known ? surroundings.FinalPagesSent(guest) : guest;
        return new SourceOutcome(sent, new SourceCommand.FinalSent(Digest, default, NoTotals, default), Sent: true);
    }

    private static SourceOutcome Cast(ModelGuest guest, SourceEffect.CastVote cast)
    {
        if (guest.Bind(cast.Fence) is not { } bound) return Failed(guest, null, "fence.older", "pre-empted");
        var (voted, refusal) = bound.Cast(cast.Vote);
        var stands = cast.Vote == Vote.Kept ? voted.Devices.ToDictionary(pair => pair.Key, pair => pair.Value.State) : [];
        return new SourceOutcome(voted, refusal is null
            ? new SourceCommand.VoteCast(cast.Vote, stands, default)
            : new SourceCommand.VoteExcluded(cast.Vote, refusal, default));
    }

    private static SourceCommand.ReleaseEnded Released => new([], new Dictionary<string, string>(), default);

    /// <summary>A connection was lost, or not to be had. What the pass had not got acknowledged is owed.</summary>
    private static SourceOutcome Broke(ModelGuest? guest) =>
        new(guest, new SourceCommand.TransferBroke("the destination takes nothing", TimeSpan.FromSeconds(60), default));

    private static SourceOutcome Failed(ModelGuest? guest, DeviceName? device, string code, string reason) =>
        new(guest, new SourceCommand.Failed(device, code, reason, default));
}
