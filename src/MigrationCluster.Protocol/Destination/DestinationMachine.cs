using System.Collections.Immutable;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Destination;

/// <summary>
/// The destination host's side of one attempt.
///
/// <code>
/// New -> Preparing -> Prepared -> Checking -> Arming -> Receiving -> Loading -> Verified
///                                    |                                             |
///            SetupRefused &lt;----------+                                   on RunGuest (row says committed)
///                                                                                  v
/// Discarding -> Discarded  (any phase before Permitting, on DiscardIncoming)  Permitting -> Resuming -> Resumed
///     ^                    (any phase before Verified, when nobody has been heard of for too long)
/// Proving -> Proven        (after committed, when the guest process died)
/// </code>
///
/// Nobody commits to a host that has not said Verified, so until then it may give its copy up by itself: a coordinator that never comes
/// back leaves nothing behind. Afterwards the row may say committed, and it waits.
///
/// Invariants it keeps: NeverHalfLoaded (devices leave Resuming only after StreamComplete, whose manifest covers each
/// device's whole stream), CommittedBeforeRunning (no device leaves Stop before PermitTaken, which only RunGuest leads
/// to), the mirror of QuiescedBeforeStopped (<see cref="RunningBarrier"/>, then the machine).
/// </summary>
public sealed class DestinationMachine
    : IStateMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect>
{
    private static readonly IReadOnlyList<DestinationEffect> Nothing = [];

    public Decision<AgentEvent> Decide(DestinationState state, DestinationCommand command) =>
        command is DestinationCommand.Order order
            ? DecideFenced(state, order.Command, order.At)
            : DecideResult(state, command);

    /// <summary>Checks the fence, records a raised one, then looks at the order itself.</summary>
    private static Decision<AgentEvent> DecideFenced(DestinationState s, AgentCommand command, DateTimeOffset at)
    {
        if (s.Phase != DestinationPhase.New && command.Migration != s.Migration)
            return Refuse("migration.other", $"this session belongs to {s.Migration}, not {command.Migration}");
        if (command.Fence < s.Fence)
            return Refuse("fence.older", $"command at {command.Fence}, but {s.Guest} is already at {s.Fence}");
        var decision = DecideOrder(s, command, at);
        bool raised = s.Phase != DestinationPhase.New && command.Fence.Epoch == s.Fence.Epoch && command.Fence > s.Fence;
        return raised && decision is Accepted<AgentEvent> accepted
            ? Accept([new FenceRaised(s.Migration, at, command.Fence), .. accepted.Events])
            : decision;
    }

    private static Decision<AgentEvent> DecideOrder(DestinationState s, AgentCommand command, DateTimeOffset at)
    {
        bool ended = s.Phase >= DestinationPhase.Discarding;
        return command switch
        {
            PrepareDestination prepare when s.Phase == DestinationPhase.New =>
                Accept(new DestinationOpened(
                    prepare.Migration, at, prepare.Guest, prepare.Fence, prepare.SpecJson, prepare.Configuration,
                    prepare.PlainAcceptedBy, prepare.Coordinator)),
            PrepareDestination when !ended => Accept(),

            CheckSetup check when s.Phase == DestinationPhase.Prepared =>
                Accept(new SetupCheckRequested(s.Migration, at, check.Records, check.UnknownAcceptedBy)),
            CheckSetup when !ended && s.Phase > DestinationPhase.Prepared => Accept(),

            RunGuest run when s.Phase == DestinationPhase.Verified =>
                Accept(new RunRequested(s.Migration, at, run.Fence)),
            RunGuest when !ended && s.Phase > DestinationPhase.Verified => Accept(),

            DiscardIncoming discard when s.Phase == DestinationPhase.New => Accept(
                new DestinationOpened(discard.Migration, at, discard.Guest, discard.Fence, ""),
                new DiscardRequested(discard.Migration, at, discard.Fence)),
            DiscardIncoming when s.Phase is DestinationPhase.Permitting or DestinationPhase.Resuming
                or DestinationPhase.Resumed =>
                Refuse("guest.permitted", $"{s.Guest} was permitted to run here and is not discarded"),
            DiscardIncoming when s.Phase is DestinationPhase.Discarding or DestinationPhase.Discarded => Accept(),
            DiscardIncoming discard => Accept(new DiscardRequested(s.Migration, at, discard.Fence)),

            ProveNeverRan when s.Phase is DestinationPhase.Proving or DestinationPhase.Proven => Accept(),
            ProveNeverRan prove when s.Phase != DestinationPhase.New && !ended =>
                Accept(new ProofRequested(s.Migration, at, prove.Fence)),

            { Side: Side.Destination } => Refuse("command.out-of-order",
                $"{command.GetType().Name} does not apply: {s.Guest} is {s.Phase} here" +
                (s.Failure is null ? "" : $" ({s.Failure})")),
            _ => Refuse("command.wrong-side", $"{command.GetType().Name} is not for a destination"),
        };
    }

    private static Decision<AgentEvent> DecideResult(DestinationState s, DestinationCommand command)
    {
        switch (command)
        {
            case DestinationCommand.IncomingLaunched launched when s.Phase == DestinationPhase.Preparing
                && launched.Devices.FirstOrDefault(device => device.State == DeviceState.Error) is { } broken:
                return Accept(new DestinationFailed(s.Migration, launched.At, "device.error",
                    $"{broken.Name} of the incoming {s.Guest} is in Error; only a reset brings it back"));

            case DestinationCommand.IncomingLaunched launched when s.Phase == DestinationPhase.Preparing:
                return Accept(new DestinationPrepared(
                    s.Migration, launched.At, launched.DataEndpoint, launched.Token, launched.Devices));

            case DestinationCommand.SetupAnswered answered when s.Phase == DestinationPhase.Checking:
                return DecideSetup(s, answered);

            case DestinationCommand.DeviceArrived arrived when s.Devices.ContainsKey(arrived.Device.Value):
                return DecideArrival(s, arrived);

            case DestinationCommand.StreamReceived received when s.Phase == DestinationPhase.Receiving:
                return Accept(new StreamComplete(s.Migration, received.At, received.Digest));

            case DestinationCommand.VerifiedVoted voted when s.Phase == DestinationPhase.Loading:
                return Accept(new DestinationVerified(s.Migration, voted.At, s.Digest!, voted.ContentDigests));

            case DestinationCommand.PermitVoted voted when s.Phase == DestinationPhase.Permitting:
                return Accept(new PermitTaken(s.Migration, voted.At));

            case DestinationCommand.DiscardEnded ended when s.Phase == DestinationPhase.Discarding:
                var discarded = new IncomingDiscarded(s.Migration, ended.At, ended.ReceivedBytes);
                return s.Failure is null && ended.Broken is { } cause
                    ? Accept(new DestinationFailed(s.Migration, ended.At, cause.Code, cause.Reason), discarded)
                    : Accept(discarded);

            case DestinationCommand.ProofEnded ended when s.Phase == DestinationPhase.Proving:
                return ended.NeverRan
                    ? Accept(new ProvenNeverRan(s.Migration, ended.At))
                    : Accept(new MayHaveRun(s.Migration, ended.At, ended.Reason));

            // The guest process holds what has arrived: the data plane is opened again, and the source told where. Once everything has
            // arrived the source may still wait for the verdict, which it then asks for again.
            case DestinationCommand.Restarted restarted
                when s.Failure is null && s.Phase is DestinationPhase.Receiving or DestinationPhase.Loading or DestinationPhase.Verified:
                return s.TransferOpen
                    ? Accept(new TransferClosed(s.Migration, restarted.At))
                    : Accept();

            case DestinationCommand.TransferOpened opened
                when s is { Phase: >= DestinationPhase.Receiving and <= DestinationPhase.Verified, TransferOpen: false }:
                return Accept(new TransferReopened(s.Migration, opened.At, opened.DataEndpoint, opened.Token, s.Opening + 1));

            case DestinationCommand.Restarted restarted
                when s.Failure is null && s.Phase is > DestinationPhase.New and < DestinationPhase.Verified:
                return Accept(new DestinationFailed(s.Migration, restarted.At, "destination.daemon-restarted",
                    "the destination daemon was restarted in the middle of the transfer"));

            case DestinationCommand.GuestDied died
                when s.Failure is null && s.Phase is > DestinationPhase.New and < DestinationPhase.Resumed:
                return Accept(new DestinationFailed(s.Migration, died.At, "destination.guest-died", died.Reason));

            case DestinationCommand.Expired expired when MayExpire(s):
                return Accept(
                    new DestinationFailed(s.Migration, expired.At, "incoming.expired",
                        $"no order and no connection of the source has come for {expired.Limit.TotalSeconds:0.#} s: the incoming {s.Guest} is discarded"),
                    new DiscardRequested(s.Migration, expired.At, s.Fence));

            // What was loaded into that device is gone, and the source still has it. Once it was asked to run, this host owns the guest, with
            // or without that device.
            case DestinationCommand.DeviceDied died
                when s.Failure is null && s.Phase is > DestinationPhase.New and < DestinationPhase.Permitting:
                return Accept(new DestinationFailed(s.Migration, died.At, "destination.device-died", died.Reason));

            // The permit is taken: this host owns the guest, with or without that device. Nothing is given back.
            case DestinationCommand.Failed { Device: { } device } failed when s.Phase == DestinationPhase.Resuming:
                return device == DeviceName.Machine || !s.Devices.ContainsKey(device.Value)
                    ? Accept()
                    : Resume(s, device, failed.Stands ?? DeviceState.Error, MemberStanding.GivenUp, failed.At);

            case DestinationCommand.DeviceIsolated isolated
                when s.Phase == DestinationPhase.Resuming && s.Devices.TryGetValue(isolated.Device.Value, out var alone):
                return Resume(s, alone.Name, alone.State, MemberStanding.Isolated, isolated.At);

            // Whether the permit is in the file is not known: it is asked for again until the guest process has answered or died.
            // A failure here would have the only guest that may run given up.
            case DestinationCommand.Failed failed
                when s.Failure is null && s.Phase is > DestinationPhase.New and < DestinationPhase.Permitting:
                return Accept(new DestinationFailed(s.Migration, failed.At, failed.Code, failed.Reason));

            default:
                return Accept();
        }
    }

    /// <summary>Loading needs nobody, unless it has failed.</summary>
    private static bool MayExpire(DestinationState s) => s.Phase is > DestinationPhase.New and < DestinationPhase.Verified
        && (s.Phase != DestinationPhase.Loading || s.Failure is not null);

    /// <summary>Unknown refuses, unless an operator took it upon himself by name; what says no refuses always, and then the
    /// unknown is told too.</summary>
    private static Decision<AgentEvent> DecideSetup(DestinationState s, DestinationCommand.SetupAnswered answered)
    {
        bool accepted = s.UnknownAcceptedBy is not null || answered.Unknown.Count == 0;
        if (answered.Refusals.Count > 0 || !accepted)
            return Accept(new SetupRefused(s.Migration, answered.At, [.. answered.Refusals, .. answered.Unknown]));
        return Accept(new SetupConfirmed(
            s.Migration, answered.At,
            answered.Dropped.Count > 0 ? answered.Dropped : null, answered.Unknown.Count > 0 ? answered.Unknown : null));
    }

    private static Decision<AgentEvent> DecideArrival(DestinationState s, DestinationCommand.DeviceArrived arrived)
    {
        if (s.Devices[arrived.Device.Value].State == arrived.State) return Accept();
        var reached = new DeviceStateReached(s.Migration, arrived.At, arrived.Device, arrived.State);
        var after = s.With(arrived.Device, arrived.State);
        return s.Phase switch
        {
            DestinationPhase.Arming when after.Devices.Values.All(device => device.State == DeviceState.Resuming) =>
                Accept(reached, new SetupAccepted(s.Migration, arrived.At)),
            DestinationPhase.Resuming => Resume(s, arrived.Device, arrived.State, MemberStanding.Member, arrived.At),
            _ => Accept(reached),
        };
    }

    /// <summary>One more device runs, or is left behind; when that was the last, the guest has resumed.</summary>
    private static Accepted<AgentEvent> Resume(
        DestinationState s, DeviceName device, DeviceState state, MemberStanding standing, DateTimeOffset at)
    {
        var reached = new DeviceStateReached(s.Migration, at, device, state, standing);
        var after = s.With(device, state, standing);
        return RunningBarrier.IsOver([.. after.Members]) && after.Machine.State == DeviceState.Running
            ? Accept(reached, new GuestResumed(s.Migration, at))
            : Accept(reached);
    }

    public DestinationState Evolve(DestinationState state, AgentEvent @event) => @event switch
    {
        FenceRaised e => state with { Fence = e.Fence },
        DestinationOpened e => state with
        {
            Phase = DestinationPhase.Preparing,
            Migration = e.Migration,
            Guest = e.Guest,
            Fence = e.Fence,
            SpecJson = e.SpecJson,
            Configuration = e.Configuration,
            PlainAcceptedBy = e.PlainAcceptedBy,
            Coordinator = e.Coordinator,
        },
        DestinationPrepared e => state with
        {
            Phase = DestinationPhase.Prepared,
            TransferOpen = true,
            Devices = e.Devices.ToImmutableSortedDictionary(device => device.Name.Value, device => device),
        },
        SetupCheckRequested e => state with
        {
            Phase = DestinationPhase.Checking,
            Records = e.Records,
            UnknownAcceptedBy = e.UnknownAcceptedBy,
        },
        SetupConfirmed => state with { Phase = DestinationPhase.Arming },
        SetupAccepted => state with { Phase = DestinationPhase.Receiving },
        SetupRefused => state with { Failure = "setup refused" },
        DeviceStateReached e => state.With(e.Device, e.State, e.Standing),
        StreamComplete e => state with { Phase = DestinationPhase.Loading, Digest = e.Digest },
        DestinationVerified => state with { Phase = DestinationPhase.Verified },
        TransferClosed => state with { TransferOpen = false },
        TransferReopened e => state with { TransferOpen = true, Opening = e.Opening },
        RunRequested e => state with { Phase = DestinationPhase.Permitting, Fence = e.Fence },
        PermitTaken => state with { Phase = DestinationPhase.Resuming },
        GuestResumed => state with { Phase = DestinationPhase.Resumed },
        DestinationFailed e => state with { Failure = e.Reason },
        DiscardRequested e => state with { Phase = DestinationPhase.Discarding, Fence = e.Fence },
        IncomingDiscarded => state with { Phase = DestinationPhase.Discarded },
        ProofRequested e => state with { Phase = DestinationPhase.Proving, Fence = e.Fence },
        ProvenNeverRan => state with { Phase = DestinationPhase.Proven },
        MayHaveRun => state with { Phase = DestinationPhase.Proven },
        _ => throw new InvalidOperationException($"{@event.GetType().Name} is no event of a destination"),
    };

    public IReadOnlyList<DestinationEffect> Pending(DestinationState state)
    {
        var work = Work(state);
        return MayExpire(state) ? [.. work, new DestinationEffect.AwaitWord()] : work;
    }

    private static IReadOnlyList<DestinationEffect> Work(DestinationState state) => state.Phase switch
    {
        DestinationPhase.Discarding => [new DestinationEffect.Discard(state.Fence)],
        DestinationPhase.Proving => [new DestinationEffect.ProveNeverRan(state.Fence)],
        _ when state.Failure is not null => Nothing,
        DestinationPhase.Preparing => [new DestinationEffect.LaunchIncoming(state.Fence)],
        DestinationPhase.Checking => [new DestinationEffect.ConfirmSetup()],
        DestinationPhase.Arming => Move(state.Devices.Values, DeviceState.Resuming),
        DestinationPhase.Receiving when state.TransferOpen => [new DestinationEffect.Receive()],
        DestinationPhase.Loading when state.Devices.Values.All(device => device.State == DeviceState.Stop) =>
            [new DestinationEffect.VoteVerified(state.Digest!), .. Reopen(state)],
        DestinationPhase.Loading => [.. Move(state.Devices.Values, DeviceState.Stop), .. Reopen(state)],
        DestinationPhase.Receiving or DestinationPhase.Verified => Reopen(state),
        DestinationPhase.Permitting => [new DestinationEffect.TakePermit(state.Fence)],
        DestinationPhase.Resuming => ResumingEffects(state),
        _ => Nothing,
    };

    private static IReadOnlyList<DestinationEffect> Reopen(DestinationState state) =>
        state.TransferOpen ? Nothing : [new DestinationEffect.ReopenTransfer(state.Opening + 1)];

    private static IReadOnlyList<DestinationEffect> ResumingEffects(DestinationState state)
    {
        var steps = RunningBarrier.Next([.. state.Members]);
        return steps.Count > 0 ? [.. steps.Select(Effect)] : Move([state.Machine], DeviceState.Running);
    }

    private static DestinationEffect Effect(BarrierStep step) => step is BarrierStep.Move move
        ? new DestinationEffect.MoveDevice(step.Device.Name, move.Target, MemberLimits.OnTheWayBack)
        : new DestinationEffect.Isolate(step.Device.Name);

    private static IReadOnlyList<DestinationEffect> Move(IEnumerable<PlannedDevice> devices, DeviceState target) =>
        [.. devices.Where(device => device.State != target).Select(device =>
            new DestinationEffect.MoveDevice(device.Name, RunningBarrier.Arc(device, target)))];

    private static Accepted<AgentEvent> Accept(params AgentEvent[] events) => new(events);

    private static Refused<AgentEvent> Refuse(string code, string reason) => new(code, reason);
}
