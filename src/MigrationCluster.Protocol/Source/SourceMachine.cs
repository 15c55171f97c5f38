using System.Collections.Immutable;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Source;

/// <summary>
/// The source host's side of one attempt.
///
/// <code>
/// New -> CollectingSetup -> Negotiated -> PreCopy -> Ready -> Pausing -> Quiescing -> Stopping -> Copying -> Sent
///                                            ^                  |                                            |
///                                            +-- put off: a ----+                                            |
///                                              device has initial bytes again, the daemon was restarted      |
///                        KeepVoting -> Keeping -> Kept  <--(any phase above, on KeepGuest)                   v
///                             ^                                                                           Yielding
///                             |  only under a raised epoch                                                    |
///                             +------------------------------------ Yielded &lt;--------------------------------+
///                                                                      |
///                                                                      v  on ReleaseGuest
///                                                                   Releasing -> Released
/// </code>
///
/// Invariants it keeps: NegotiatedBeforeMoved (no device moves before StartPreCopy, which follows SetupAccepted),
/// QuiescedBeforeStopped (Quiescing ends only when every P2P-capable device is quiet), NoDirtyPageLost (the last bitmaps
/// are read by SendFinal, after DevicesStopped), AtMostOneOwner (a Yielded source keeps the guest only under a higher epoch).
/// A lost connection stops only what needs one: in PreCopy and in Copying the destination is connected to again, from a daemon's next
/// life too, until a limit has passed; with the guest paused half of its pause deadline, so that there is time left to bring it back.
/// A failure stops work until the coordinator decides; a paused guest meanwhile is guarded by its own pause deadline.
/// </summary>
public sealed class SourceMachine : IStateMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>
{
    /// <summary>Code of the failure of a pre-copy that was given up.</summary>
    public const string NoConvergence = "pre-copy.no-convergence";

    private static readonly IReadOnlyList<SourceEffect> Nothing = [];

    public Decision<AgentEvent> Decide(SourceState state, SourceCommand command) => command switch
    {
        SourceCommand.Order order => DecideFenced(state, order.Command, order.At),
        // Before the first order there is no migration to tell it of: what the order leads to will meet it.
        SourceCommand.GuestDied died => state.Phase is SourcePhase.New or SourcePhase.Released or SourcePhase.Died or SourcePhase.Releasing
            ? Accept()
            : Accept(new SourceGuestDied(state.Migration, died.At, died.DiedAsYielded, died.Reason)),
        _ => DecideResult(state, command),
    };

    /// <summary>Checks the fence, records a raised one, then looks at the order itself.</summary>
    private static Decision<AgentEvent> DecideFenced(SourceState s, AgentCommand command, DateTimeOffset at)
    {
        if (s.Phase != SourcePhase.New && command.Migration != s.Migration)
            return Refuse("migration.other", $"this session belongs to {s.Migration}, not {command.Migration}");
        if (command.Fence < s.Fence)
            return Refuse("fence.older", $"command at {command.Fence}, but {s.Guest} is already at {s.Fence}");
        var decision = DecideOrder(s, command, at);
        bool raised = s.Phase != SourcePhase.New && command.Fence.Epoch == s.Fence.Epoch && command.Fence > s.Fence;
        return raised && decision is Accepted<AgentEvent> accepted
            ? Accept([new FenceRaised(s.Migration, at, command.Fence), .. accepted.Events])
            : decision;
    }

    private static Decision<AgentEvent> DecideOrder(SourceState s, AgentCommand command, DateTimeOffset at)
    {
        return command switch
        {
            CollectSetup when s.Phase == SourcePhase.New =>
                Accept(new SourceOpened(command.Migration, at, command.Guest, command.Fence)),
            CollectSetup => Accept(),

            // Its feed says that the guest died; a refusal, heard before that, would have the attempt aborted, and with it perhaps the only
            // complete copy discarded.
            StartPreCopy or SwitchOver or YieldGuest when s.Phase == SourcePhase.Died => Accept(),

            StartPreCopy start when s.Phase == SourcePhase.Negotiated =>
                Accept(new PreCopyStarted(
                    s.Migration, at, start.DataEndpoint, start.Token, start.MaxDowntime, start.PlainAcceptedBy, start.VerifyFull,
                    start.MaxBytesPerSecond, start.Policy, start.Costs)),
            StartPreCopy => AlreadyPast(s, SourcePhase.PreCopy),

            // Before the machine is paused the switchover is put off until there is a connection again.
            ReconnectTransfer to when s is { Phase: SourcePhase.Ready, Failure: null } && to.Opening > s.Opening =>
                Accept(Redirected(s, to, at), new SwitchOverPutOff(s.Migration, at, [], s.Readiness)),
            ReconnectTransfer to when Transfers(s) && to.Opening > s.Opening => Accept(Redirected(s, to, at)),
            // Old news, or too early or too late: where it matters it is sent again.
            ReconnectTransfer => Accept(),

            LimitBandwidth limit when Transfers(s) && limit.Change > s.BandwidthChange =>
                Accept(new BandwidthLimited(s.Migration, at, limit.MaxBytesPerSecond, limit.Change)),
            // Old news, or too late to matter; too early, it is sent again.
            LimitBandwidth => Accept(),

            // Put off: pre-copy goes on, or has come to another readiness, and the coordinator hears of it in its own time.
            SwitchOver over when s.Failure is null && s.Readiness > 0 && (s.Phase == SourcePhase.PreCopy
                || (s.Phase == SourcePhase.Ready && over.Readiness < s.Readiness)) => Accept(),
            SwitchOver over when s.Phase == SourcePhase.Ready && s.Failure is null =>
                Accept(new SwitchOverStarted(s.Migration, at, over.PauseDeadline)),
            SwitchOver => AlreadyPast(s, SourcePhase.Pausing),

            YieldGuest when s.Phase == SourcePhase.Sent => Accept(new YieldRequested(s.Migration, at)),
            YieldGuest when s.Phase is SourcePhase.KeepVoting or SourcePhase.Keeping or SourcePhase.Kept =>
                Refuse("guest.kept", $"{s.Guest} was kept by the source"),
            YieldGuest => AlreadyPast(s, SourcePhase.Yielding),

            KeepGuest keep => DecideKeep(s, keep, at),

            ReleaseGuest when s.Phase == SourcePhase.Yielded => Accept(new ReleaseRequested(s.Migration, at)),
            ReleaseGuest when s.Phase is SourcePhase.Releasing or SourcePhase.Released => Accept(),
            ReleaseGuest when s.Phase == SourcePhase.Died => Accept(new ReleaseRequested(s.Migration, at)),
            ReleaseGuest => Refuse("guest.not-yielded", $"{s.Guest} is {s.Phase} here and has not been yielded"),

            _ => Refuse("command.wrong-side", $"{command.GetType().Name} is not for a source"),
        };
    }

    private static Decision<AgentEvent> DecideKeep(SourceState s, KeepGuest keep, DateTimeOffset at) => s.Phase switch
    {
        // Nothing was ever touched here: the guest runs as it did.
        SourcePhase.New => Accept(
            new SourceOpened(keep.Migration, at, keep.Guest, keep.Fence),
            new GuestKept(keep.Migration, at)),
        SourcePhase.KeepVoting or SourcePhase.Keeping or SourcePhase.Kept or SourcePhase.Died => Accept(),
        SourcePhase.Releasing or SourcePhase.Released =>
            Refuse("guest.released", $"{s.Guest} was already released here"),
        SourcePhase.Yielding or SourcePhase.Yielded when keep.Fence.Epoch <= s.Fence.Epoch =>
            Refuse("guest.yielded", $"{s.Guest} was yielded at {s.Fence.Epoch}; only a raised epoch lets it resume"),
        _ => Accept(new KeepRequested(s.Migration, at, keep.Fence, s.Failure ?? "the coordinator aborted")),
    };

    private static Decision<AgentEvent> DecideResult(SourceState s, SourceCommand command)
    {
        switch (command)
        {
            case SourceCommand.SetupRead read when s.Phase == SourcePhase.CollectingSetup
                && read.Devices.FirstOrDefault(device => device.State == DeviceState.Error) is { } broken:
                return Accept(InError(s, broken.Name, read.At));

            case SourceCommand.SetupRead read when s.Phase == SourcePhase.CollectingSetup
                && read.Devices.FirstOrDefault(device => device.State != DeviceState.Running && device.Name != DeviceName.Machine) is { } left:
                return Accept(new SourceFailed(s.Migration, read.At, "device.not-running",
                    $"{left.Name} of {s.Guest} stands in {left.State}, where an earlier attempt left it behind; only a reset brings it back"));

            case SourceCommand.SetupRead read when s.Phase == SourcePhase.CollectingSetup && Unquiet(read.Devices) is { } member:
                return Accept(new SourceFailed(s.Migration, read.At, "group.not-quiet",
                    $"{member.Name} does P2P DMA with other devices of {s.Guest} but cannot be P2P-quiet; remove the edge"));

            case SourceCommand.SetupRead read when s.Phase == SourcePhase.CollectingSetup:
                return Accept(new SetupCollected(s.Migration, read.At, read.Records, read.Devices));

            case SourceCommand.TransferConnected done when Transfers(s) && !s.TransferOpen && done.Opening == s.Opening:
                return Accept(new TransferOpened(s.Migration, done.At));

            case SourceCommand.TransferBroke broke when s.Failure is null && s.Phase is SourcePhase.PreCopy or SourcePhase.Copying:
                return DecideBroken(s, broke);

            case SourceCommand.IterationEnded ended
                when s.Phase == SourcePhase.PreCopy && ended.Pass.Iteration == s.Iteration + 1:
                return DecideIteration(s, ended);

            case SourceCommand.ReadinessTakenBack back when s.Phase == SourcePhase.Pausing && s.Failure is null:
                return Accept(new SwitchOverPutOff(s.Migration, back.At, back.Devices, s.Readiness));

            case SourceCommand.DeviceArrived arrived when s.Devices.ContainsKey(arrived.Device.Value):
                return DecideArrival(s, arrived);

            case SourceCommand.DeviceIsolated isolated
                when s.Phase == SourcePhase.Keeping && s.Devices.TryGetValue(isolated.Device.Value, out var alone):
                return Kept(
                    s.With(alone.Name, alone.State, MemberStanding.Isolated),
                    [new DeviceStateReached(s.Migration, isolated.At, alone.Name, alone.State, MemberStanding.Isolated)], isolated.At);

            case SourceCommand.FinalSent sent when s.Phase == SourcePhase.Copying:
                return Accept(new FinalStateSent(s.Migration, sent.At, sent.Digest, sent.PagesSentAt, sent.Totals, sent.RamDigest, sent.Timings));

            case SourceCommand.VoteCast { Vote: Vote.Yielded } cast when s.Phase == SourcePhase.Yielding:
                return Accept(new GuestYielded(s.Migration, cast.At));

            case SourceCommand.VoteCast { Vote: Vote.Kept } cast when s.Phase == SourcePhase.KeepVoting:
                return DecideKept(s, cast);

            // The guest process kept itself when its pause deadline passed: follow it back to Running.
            case SourceCommand.VoteExcluded { Vote: Vote.Yielded } no when s.Phase == SourcePhase.Yielding:
                return Accept(
                    new SourceFailed(s.Migration, no.At, "guest.kept-itself", no.Reason),
                    new KeepRequested(s.Migration, no.At, s.Fence, no.Reason));

            case SourceCommand.ReleaseEnded ended when s.Phase == SourcePhase.Releasing:
                return Accept(new GuestReleased(s.Migration, ended.At, ended.Residue, ended.ContentDigests));

            // What is owed, retained and acknowledged is in the guest process: a transfer goes on where it was acknowledged.
            case SourceCommand.Restarted restarted when s is { Failure: null, Phase: SourcePhase.Copying, PausedAt: { } paused }
                && restarted.At - paused >= s.PauseDeadline:
                return DecideFailure(s, new SourceCommand.Failed(
                    null, "transfer.pause-deadline",
                    $"the source daemon was restarted when the guest had been paused for {s.PauseDeadline.TotalSeconds:0.#} s and kept itself",
                    restarted.At));

            case SourceCommand.Restarted restarted when s.Failure is null && !s.TransferOpen
                && s.Phase is SourcePhase.PreCopy or SourcePhase.Copying:
                return Accept();

            case SourceCommand.Restarted restarted when s.Failure is null && s.Phase is SourcePhase.PreCopy or SourcePhase.Copying:
                return Accept(Lost(s, restarted.At));

            // As on a reconnect: no pause without a connection.
            case SourceCommand.Restarted restarted when s is { Failure: null, Phase: SourcePhase.Ready }:
                return Accept(Lost(s, restarted.At), new SwitchOverPutOff(s.Migration, restarted.At, [], s.Readiness));

            // In the moment between the switchover and Copying it is not known how far devices have come: the attempt ends.
            case SourceCommand.Restarted restarted:
                return DecideFailure(s, new SourceCommand.Failed(
                    null, "source.daemon-restarted", "the source daemon was restarted in the middle of the transfer",
                    restarted.At));

            case SourceCommand.Failed failed:
                return DecideFailure(s, failed);

            default:
                return Accept();
        }
    }

    /// <summary>Without a connection it waits and tries again, but not for ever; and a paused guest is brought back in good time before it
    /// keeps itself.</summary>
    private static Decision<AgentEvent> DecideBroken(SourceState s, SourceCommand.TransferBroke broke)
    {
        var patience = s.PauseDeadline / 2;
        if (s.PausedAt is { } paused && broke.At - paused >= patience)
            return Accept(new SourceFailed(s.Migration, broke.At, "transfer.pause-deadline",
                $"no connection to the destination, and the guest has been paused for {patience.TotalSeconds:0.#} of at most " +
                $"{s.PauseDeadline.TotalSeconds:0.#} s: {broke.Reason}"));
        if (s.LostAt is { } lost && broke.At - lost >= broke.Limit)
            return Accept(new SourceFailed(s.Migration, broke.At, "transfer.connection-lost",
                $"no connection to the destination for {broke.Limit.TotalSeconds:0.#} s: {broke.Reason}"));
        return s.LostAt is null ? Accept(new TransferLost(s.Migration, broke.At, broke.Reason)) : Accept();
    }

    private static TransferLost Lost(SourceState s, DateTimeOffset at) => new(s.Migration, at, "the source daemon was restarted");

    private static TransferRedirected Redirected(SourceState s, ReconnectTransfer to, DateTimeOffset at) =>
        new(s.Migration, at, to.DataEndpoint, to.Token, to.Opening);

    private static bool Transfers(SourceState s) => s.Phase is >= SourcePhase.PreCopy and <= SourcePhase.Copying;

    /// <summary>A group migrates only if every member can be P2P-quiet; a device that is alone needs no P2P support.</summary>
    private static PlannedDevice? Unquiet(IReadOnlyList<PlannedDevice> devices) => devices
        .GroupBy(device => device.Group).Where(group => group.Count() > 1).SelectMany(group => group)
        .FirstOrDefault(device => !RunningBarrier.HasP2P(device));

    private static Decision<AgentEvent> DecideIteration(SourceState s, SourceCommand.IterationEnded e)
    {
        var pass = e.Pass;
        var passes = s.Passes.Add(pass);
        var verdict = SwitchoverRule.Judge(
            passes, s.Costs ?? LearnedCosts.Assumed, s.Policy ?? new ConvergencePolicy(s.MaxDowntime), e.At - s.PreCopyAt);
        var finished = new IterationFinished(
            s.Migration, e.At, pass.Iteration, e.Pages, pass.SentBytes, pass.Duration, pass.RemainingBytes,
            BandwidthEstimate.Of(passes, pass.Capped).BytesPerSecond,
            pass.Duration > TimeSpan.Zero ? pass.RemainingBytes / pass.Duration.TotalSeconds : 0,
            pass, verdict.Prediction, verdict.Stall, (verdict as IterateAgain)?.ThrottlePercent ?? pass.ThrottlePercent);
        return verdict switch
        {
            SwitchNow now => Accept(
                finished, new ReadyToSwitch(s.Migration, e.At, now.Prediction.P50, s.Readiness + 1, now.Prediction)),
            GiveUp giveUp => Accept(finished,
                new SourceFailed(s.Migration, e.At, NoConvergence, s.MaxBytesPerSecond is { } most
                    ? $"{giveUp.Reason}; an operator has the transfer keep to {most / (double)(1 << 20):F0} MiB/s"
                    : giveUp.Reason)),
            _ => Accept(finished),
        };
    }

    /// <summary>A device reached a state; where that ends a barrier, the barrier's event follows in the same breath.</summary>
    private static Decision<AgentEvent> DecideArrival(SourceState s, SourceCommand.DeviceArrived arrived)
    {
        if (s.Devices[arrived.Device.Value].State == arrived.State) return Accept();
        var reached = new DeviceStateReached(s.Migration, arrived.At, arrived.Device, arrived.State);
        var after = s.With(arrived.Device, arrived.State);
        return s.Phase switch
        {
            SourcePhase.Pausing when after.Machine.State == DeviceState.Stop =>
                Quiet(after, [reached, new MachinePaused(s.Migration, arrived.At)], arrived.At),
            SourcePhase.Quiescing => Quiet(after, [reached], arrived.At),
            SourcePhase.Stopping when after.Devices.Values.All(device => device.State == DeviceState.StopCopy) =>
                Accept(reached, new DevicesStopped(s.Migration, arrived.At)),
            // Found broken on the way back: nothing else has named it if it broke while everything stood still.
            SourcePhase.Keeping when arrived.State == DeviceState.Error =>
                Kept(after, [InError(s, arrived.Device, arrived.At), reached], arrived.At),
            SourcePhase.Keeping => Kept(after, [reached], arrived.At),
            _ => Accept(reached),
        };
    }

    /// <summary>
    /// A daemon that died between a device's arc and its journal entry does not know where that device stands. The barrier back
    /// to Running is only as good as the states it starts from, so they are read once nothing else can move a device: after Kept.
    /// </summary>
    private static Decision<AgentEvent> DecideKept(SourceState s, SourceCommand.VoteCast cast)
    {
        var (after, events) = (s, new List<AgentEvent> { new KeepVoted(s.Migration, cast.At) });
        foreach (var (name, state) in cast.Stands)
        {
            if (!s.Devices.TryGetValue(name, out var device) || device.State == state) continue;
            if (state == DeviceState.Error) events.Add(InError(s, device.Name, cast.At));
            events.Add(new DeviceStateReached(s.Migration, cast.At, device.Name, state));
            after = after.With(device.Name, state);
        }

        return Kept(after, events, cast.At);
    }

    private static SourceFailed InError(SourceState s, DeviceName device, DateTimeOffset at) => new(
        s.Migration, at, "device.error", $"{device} of {s.Guest} is in Error; only a reset brings it back");

    private static Accepted<AgentEvent> Quiet(SourceState after, List<AgentEvent> events, DateTimeOffset at)
    {
        if (after.Members.All(IsQuiet)) events.Add(new GroupQuiet(after.Migration, at));
        return new Accepted<AgentEvent>(events);
    }

    private static Accepted<AgentEvent> Kept(SourceState after, List<AgentEvent> events, DateTimeOffset at)
    {
        bool runs = after.Devices.IsEmpty
            || (RunningBarrier.IsOver([.. after.Members]) && after.Machine.State == DeviceState.Running);
        if (runs) events.Add(new GuestKept(after.Migration, at));
        return new Accepted<AgentEvent>(events);
    }

    private static Decision<AgentEvent> DecideFailure(SourceState s, SourceCommand.Failed failed)
    {
        var events = new List<AgentEvent>();
        // On the way back a device that fails must not hold the others: it is given up, named, and the guest goes on without it. Where it
        // stands is not taken for granted: a failed move may rest anywhere.
        if (s.Phase == SourcePhase.Keeping && failed.Device is { } device && device != DeviceName.Machine
            && s.Devices.ContainsKey(device.Value))
        {
            events.Add(new SourceFailed(s.Migration, failed.At, failed.Code, failed.Reason));
            var stands = failed.Stands ?? DeviceState.Error;
            events.Add(new DeviceStateReached(s.Migration, failed.At, device, stands, MemberStanding.GivenUp));
            return Kept(s.With(device, stands, MemberStanding.GivenUp), events, failed.At);
        }

        bool working = s.Phase is > SourcePhase.New and < SourcePhase.Sent;
        if (!working || s.Failure is not null) return Accept();
        return Accept(new SourceFailed(s.Migration, failed.At, failed.Code, failed.Reason));
    }

    public SourceState Evolve(SourceState state, AgentEvent @event) => @event switch
    {
        FenceRaised e => state with { Fence = e.Fence },
        SourceOpened e => state with
        {
            Phase = SourcePhase.CollectingSetup,
            Migration = e.Migration,
            Guest = e.Guest,
            Fence = e.Fence,
        },
        SetupCollected e => state with
        {
            Phase = SourcePhase.Negotiated,
            Devices = e.Devices.ToImmutableSortedDictionary(device => device.Name.Value, device => device),
            DeviceModels = e.Records.Where(record => record.Descriptor.Model is not null)
                .DistinctBy(record => record.Device).ToImmutableSortedDictionary(record => record.Device, record => record.Descriptor.Model!),
        },
        PreCopyStarted e => state with
        {
            Phase = SourcePhase.PreCopy,
            DataEndpoint = e.DataEndpoint,
            Token = e.Token,
            MaxDowntime = e.MaxDowntime,
            PlainAcceptedBy = e.PlainAcceptedBy,
            VerifyFull = e.VerifyFull,
            MaxBytesPerSecond = e.MaxBytesPerSecond,
            Policy = e.Policy,
            Costs = e.Costs,
            PreCopyAt = e.At,
        },
        TransferOpened => state with { TransferOpen = true, LostAt = null },
        TransferLost e => state with { TransferOpen = false, LostAt = e.At },
        TransferRedirected e => state with
        {
            DataEndpoint = e.DataEndpoint,
            Token = e.Token,
            Opening = e.Opening,
            TransferOpen = false,
            LostAt = state.LostAt ?? e.At,
        },
        BandwidthLimited e => state with { MaxBytesPerSecond = e.MaxBytesPerSecond, BandwidthChange = e.Change },
        DeviceStateReached e => state.With(e.Device, e.State, e.Standing),
        IterationFinished e => state with
        {
            Iteration = e.Iteration,
            // One that tells less is of an earlier release.
            Passes = state.Passes.Add(e.Pass ?? new PassObservation(e.Iteration, e.Duration, e.Bytes, e.RemainingBytes)),
            ThrottlePercent = e.ThrottlePercent,
        },
        ReadyToSwitch e => state with { Phase = SourcePhase.Ready, Readiness = e.Readiness },
        SwitchOverStarted e => state with { Phase = SourcePhase.Pausing, PauseDeadline = e.PauseDeadline },
        SwitchOverPutOff => state with { Phase = SourcePhase.PreCopy },
        MachinePaused e => state with { Phase = SourcePhase.Quiescing, PausedAt = e.At },
        GroupQuiet => state with { Phase = SourcePhase.Stopping },
        DevicesStopped => state with { Phase = SourcePhase.Copying },
        FinalStateSent => state with { Phase = SourcePhase.Sent },
        YieldRequested => state with { Phase = SourcePhase.Yielding },
        GuestYielded => state with { Phase = SourcePhase.Yielded },
        KeepRequested e => state with { Phase = SourcePhase.KeepVoting, Fence = e.Fence },
        KeepVoted => state with { Phase = SourcePhase.Keeping },
        GuestKept => state with { Phase = SourcePhase.Kept },
        ReleaseRequested => state with { Phase = SourcePhase.Releasing },
        GuestReleased => state with { Phase = SourcePhase.Released },
        SourceFailed e => state with { Failure = e.Reason },
        SourceGuestDied e => state with { Phase = SourcePhase.Died, Failure = e.Reason },
        _ => throw new InvalidOperationException($"{@event.GetType().Name} is no event of a source"),
    };

    public IReadOnlyList<SourceEffect> Pending(SourceState state) => state.Phase switch
    {
        SourcePhase.CollectingSetup when state.Failure is null => [new SourceEffect.ReadSetup(state.Fence)],
        SourcePhase.PreCopy when state.Failure is null => PreCopyEffects(state),
        SourcePhase.Pausing when state.Failure is null => [new SourceEffect.PauseMachine(state.PauseDeadline)],
        SourcePhase.Quiescing when state.Failure is null => Move(
            state.Members.Where(device => !IsQuiet(device)).Select(device => (device, QuietTarget(device))),
            MemberLimits.InBlackout(state.PauseDeadline)),
        SourcePhase.Stopping when state.Failure is null => StoppingEffects(state),
        SourcePhase.Copying when state.Failure is null => state.TransferOpen ? [new SourceEffect.SendFinal()] : [Connect(state)],
        SourcePhase.Yielding => [new SourceEffect.CastVote(Vote.Yielded, state.Fence)],
        SourcePhase.KeepVoting => [new SourceEffect.CastVote(Vote.Kept, state.Fence)],
        SourcePhase.Keeping => KeepingEffects(state),
        SourcePhase.Releasing => [new SourceEffect.Release(state.Fence)],
        _ => Nothing,
    };

    private static IReadOnlyList<SourceEffect> PreCopyEffects(SourceState state)
    {
        if (!state.TransferOpen)
            return [Connect(state)];
        var moves = Move(state.Members
            .Where(device => device.Capabilities.HasFlag(MigrationCapabilities.PreCopy))
            .Where(device => device.State != DeviceState.PreCopy)
            .Select(device => (device, DeviceState.PreCopy)));
        return moves.Count > 0 ? moves : [new SourceEffect.RunIteration(state.Iteration + 1)];
    }

    private static SourceEffect.ConnectTransfer Connect(SourceState state) =>
        new(state.DataEndpoint!, state.Token!, state.Opening);

    /// <summary>The machine's registers last: until its device has stopped, an interrupt may still arrive for them.</summary>
    private static IReadOnlyList<SourceEffect> StoppingEffects(SourceState state)
    {
        var moves = Move(state.Members
            .Where(device => device.State != DeviceState.StopCopy)
            .Select(device => (device, DeviceState.StopCopy)), MemberLimits.InBlackout(state.PauseDeadline));
        return moves.Count > 0 ? moves : Move([(state.Machine, DeviceState.StopCopy)]);
    }

    private static IReadOnlyList<SourceEffect> KeepingEffects(SourceState state)
    {
        var steps = RunningBarrier.Next([.. state.Members]);
        if (steps.Count > 0) return [.. steps.Select(Effect)];
        return state.Devices.IsEmpty || state.Machine.State == DeviceState.Running
            ? Nothing
            : Move([(state.Machine, DeviceState.Running)]);
    }

    private static SourceEffect Effect(BarrierStep step) => step is BarrierStep.Move move
        ? new SourceEffect.MoveDevice(step.Device.Name, move.Target, MemberLimits.OnTheWayBack)
        : new SourceEffect.Isolate(step.Device.Name);

    private static IReadOnlyList<SourceEffect> Move(
        IEnumerable<(PlannedDevice Device, DeviceState Target)> moves, TimeSpan? limit = null) =>
        [.. moves.Select(move => new SourceEffect.MoveDevice(
            move.Device.Name, RunningBarrier.Arc(move.Device, move.Target), limit))];

    private static bool IsQuiet(PlannedDevice device) =>
        !RunningBarrier.HasP2P(device) || device.State is not (DeviceState.Running or DeviceState.PreCopy);

    private static DeviceState QuietTarget(PlannedDevice device) =>
        device.State == DeviceState.PreCopy ? DeviceState.PreCopyP2P : DeviceState.RunningP2P;

    private static Decision<AgentEvent> AlreadyPast(SourceState s, SourcePhase reached) =>
        s.Phase >= reached && s.Phase < SourcePhase.KeepVoting
            ? Accept()
            : Refuse("command.out-of-order", s.Failure is { } failure
                ? $"{s.Guest} has failed here: {failure}"
                : $"{s.Guest} is {s.Phase} here, not before {reached}");

    private static Accepted<AgentEvent> Accept(params AgentEvent[] events) => new(events);

    private static Refused<AgentEvent> Refuse(string code, string reason) => new(code, reason);
}
