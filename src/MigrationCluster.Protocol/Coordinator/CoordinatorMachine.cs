using System.Collections.Immutable;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>
/// A migration from plan to end, as its coordinator drives it.
///
/// <code>
/// Planning -> Preparing -> Negotiating -> PreCopy -> Quiescing -> StopAndCopy -> Verifying -> Committing
///                |             |             |           |             |             |            |  row: committed
///                +-------------+-------------+-----------+-------------+-------------+            v
///                     failure, refusal, cancel, deadline: AbortChosen             |           Resuming -> Completed
///                                         v                                       |               |
///                                     RollingBack (row: aborted, epoch raised) &lt;--+- Kept won ----+ proof that the
///                                         v                                                         destination never ran
///                                  Failed | Cancelled            GuestLost: no complete copy is left
/// </code>
///
/// Both votes come before the decision: Commit is asked of the row only after DestinationVerified and GuestYielded (or the proven
/// death that stands for it). Before the row says aborted nobody is told to keep, before it says committed nobody is told
/// to run. What an agent does not answer is asked again; silence decides nothing but, before the yield, an abort.
/// A whole host counts as dead only on somebody's word, and then as its guest process with a fence file that cannot be read. That the
/// destination's host was proven dead before the journal read `committed` proves that no permit was taken: only after it is anybody told to run.
/// </summary>
public sealed class CoordinatorMachine
    : IStateMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>
{
    /// <summary>How long a paused, not yielded guest waits before it keeps itself.</summary>
    public static readonly TimeSpan PauseDeadline = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan PreparingLimit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan NegotiatingLimit = TimeSpan.FromSeconds(30);

    /// <summary>After which a source that has not released its copy is reported as residue (and asked on).</summary>
    private static readonly TimeSpan ReleaseLimit = TimeSpan.FromSeconds(10);

    public Decision<CoordinatorEvent> Decide(CoordinatorState state, CoordinatorCommand command) => command switch
    {
        CoordinatorCommand.Begin begin when state.Plan is null => Accept(
            new CoordinatorEvent.Planned(begin.Plan, begin.At, begin.By),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.Preparing, begin.At)),
        CoordinatorCommand.Begin => Accept(),
        CoordinatorCommand.Cancel cancel => DecideCancel(state, cancel.At),
        CoordinatorCommand.LimitBandwidth limit => DecideBandwidth(state, limit),
        CoordinatorCommand.Hear hear => DecideHeard(state, hear.Event, hear.At),
        CoordinatorCommand.RowRead read => DecideRow(state, read.Row, read.At),
        CoordinatorCommand.CommandRefused refused => DecideRefused(state, refused),
        CoordinatorCommand.HostProvenDead proof => DecideHostDead(state, proof),
        CoordinatorCommand.TakeOver take when state.Plan is not null && !state.Ended && take.Term > state.Fence.Term =>
            Accept(new CoordinatorEvent.TookOver(take.Term, take.At, take.By)),
        CoordinatorCommand.DeadlinePassed { Phase: MigrationPhase.Completed } passed
            when state is { Phase: MigrationPhase.Completed, SourceDone: false, ReleaseOverdue: false } =>
            Accept(new CoordinatorEvent.ReleaseOverdue(passed.At)),
        CoordinatorCommand.DeadlinePassed passed when passed.Phase == state.Phase && MayAbort(state) => Abort(
            passed.At, "migration.deadline", $"{passed.Phase} took longer than it may",
            "look at the agents' logs of both hosts, then migrate again"),
        _ => Accept(),
    };

    private static Decision<CoordinatorEvent> DecideCancel(CoordinatorState s, DateTimeOffset at)
    {
        if (s.Phase is MigrationPhase.RollingBack && s.CancelRequested) return Accept();
        if (s.Ended) return Refuse("migration.ended", $"the migration has already ended: {s.Phase}");
        if (!MayAbort(s) || s.Phase == MigrationPhase.Committing)
            return Refuse("migration.too-late-to-cancel", $"the migration is {s.Phase} and can no longer be cancelled");
        return Accept(
            new CoordinatorEvent.CancelRequested(at),
            new CoordinatorEvent.AbortChosen(
                [new Refusal("migration.cancelled", "cancelled by the operator", "none needed")], false, at),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, at));
    }

    /// <summary>Until the switchover is past being put off; what is sent then has no limit of its own, for the guest waits for it.</summary>
    private static Decision<CoordinatorEvent> DecideBandwidth(CoordinatorState s, CoordinatorCommand.LimitBandwidth limit)
    {
        if (s.Ended) return Refuse("migration.ended", $"the migration has already ended: {s.Phase}");
        if (s.Plan is null || s.Phase > MigrationPhase.Quiescing)
            return Refuse("migration.not-in-pre-copy", $"the migration is {s.Phase}: a bandwidth holds while the guest is copied as it runs, and not after");
        return limit.MaxBytesPerSecond == s.MaxBytesPerSecond
            ? Accept()
            : Accept(new CoordinatorEvent.BandwidthChosen(limit.MaxBytesPerSecond, (s.Bandwidth?.Change ?? 0) + 1, limit.At));
    }

    private static Decision<CoordinatorEvent> DecideHeard(CoordinatorState s, AgentEvent heard, DateTimeOffset at)
    {
        if (s.Plan is null || s.Ended || heard.Migration != s.Plan.Migration) return Accept();
        var observed = new CoordinatorEvent.Observed(heard, at);
        return heard switch
        {
            DestinationPrepared when s.Phase == MigrationPhase.Preparing => Enter(observed, MigrationPhase.Negotiating),
            SetupRefused refused when MayAbort(s) => Accept(
                observed,
                new CoordinatorEvent.AbortChosen(refused.Refusals, true, at),
                new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, at)),
            SetupAccepted when s.Phase == MigrationPhase.Negotiating && s.Readiness > 0 => Accept(
                observed,
                new CoordinatorEvent.PhaseEntered(MigrationPhase.PreCopy, at),
                new CoordinatorEvent.PhaseEntered(MigrationPhase.Quiescing, at)),
            SetupAccepted when s.Phase == MigrationPhase.Negotiating => Enter(observed, MigrationPhase.PreCopy),
            // A feed may be told from its beginning again: a readiness that was put off is then old news, and so is its putting off.
            ReadyToSwitch ready when s.Phase == MigrationPhase.PreCopy && ready.Readiness > s.Readiness =>
                Enter(observed, MigrationPhase.Quiescing),
            // The store's power took the journal's end, where the source had been started: it is ready, and will not say so again.
            ReadyToSwitch ready when s.Phase < MigrationPhase.PreCopy && ready.Readiness > s.Readiness => Accept(observed),
            SwitchOverPutOff off when s.Phase == MigrationPhase.Quiescing && off.Readiness == s.Readiness =>
                Enter(observed, MigrationPhase.PreCopy),
            GroupQuiet when s.Phase == MigrationPhase.Quiescing => Enter(observed, MigrationPhase.StopAndCopy),
            FinalStateSent when s.Phase == MigrationPhase.StopAndCopy => Verify(s with { Sent = (FinalStateSent)heard }, observed),
            // While the row is undecided an abort may still be turned back, should the source's guest turn out dead.
            FinalStateSent or DestinationVerified when IsRollingBackUndecided(s) => Accept(observed),
            DestinationVerified verified => Verify(s with { Verified = verified }, observed),
            GuestResumed when s.Phase == MigrationPhase.Resuming => Enter(observed, MigrationPhase.Completed),
            // The store's power took that the row was read; it still says committed, and is read again.
            GuestResumed when s.Phase == MigrationPhase.Committing => Accept(observed),
            GuestKept or IncomingDiscarded when s.Phase == MigrationPhase.RollingBack => RolledBack(s, observed),
            // The guest kept itself (pause deadline), or a failure on either host: undecided, so abort.
            SourceFailed failed when MayAbort(s) => AbortOn(observed, failed.Code, failed.Reason),
            // Yielded but undecided, and the destination is broken: abort; the raised epoch lets the source resume.
            DestinationFailed failed when MayAbort(s) || StillUndecided(s) || WaitsForDestination(s) => AbortOn(observed, failed.Code, failed.Reason),
            SourceGuestDied died => SourceDied(s, s.Yielded || died.DiedAsYielded, observed),
            ProvenNeverRan or GuestReleased or GuestYielded or SetupCollected or SetupConfirmed or MachinePaused or DevicesStopped
                or IterationFinished or BandwidthLimited or TransferLost or TransferOpened or TransferClosed or TransferReopened or DestinationFailed or SourceFailed => Accept(observed),
            MayHaveRun => Enter(observed, MigrationPhase.GuestLost),
            _ => Accept(),
        };
    }

    /// <summary>Verifying ends when both sides have said the same digest.</summary>
    private static Decision<CoordinatorEvent> Verify(CoordinatorState s, CoordinatorEvent.Observed observed)
    {
        bool early = s.Phase is not (MigrationPhase.StopAndCopy or MigrationPhase.Verifying);
        if (early && s.Phase != MigrationPhase.Quiescing) return Accept();
        // A source that died was not heard of its digest; the destination held the manifest against what it had received.
        if (s is { SourceDied: true, Sent: null, Verified: not null }) return Enter(observed, MigrationPhase.Committing);
        if (s.Sent is null || s.Verified is null)
            return s.Sent is not null && s.Phase == MigrationPhase.StopAndCopy
                ? Enter(observed, MigrationPhase.Verifying)
                : Accept(observed);
        return s.Sent.Digest == s.Verified.Digest
            ? Enter(observed, MigrationPhase.Committing)
            : AbortOn(observed, "manifest.mismatch",
                $"the source sent {s.Sent.Digest}, the destination holds {s.Verified.Digest}");
    }

    private static Decision<CoordinatorEvent> RolledBack(CoordinatorState s, CoordinatorEvent fact)
    {
        var after = After(s, fact);
        return after is { SourceDone: true, DestinationGone: true } && after.Decision != OwnershipDecision.Undecided
            ? Enter(fact, RolledBackTo(after))
            : Accept(fact);
    }

    private static MigrationPhase RolledBackTo(CoordinatorState s) => s switch
    {
        { SourceDied: true } => MigrationPhase.GuestLost,
        { CancelRequested: true } => MigrationPhase.Cancelled,
        _ => MigrationPhase.Failed,
    };

    /// <summary>
    /// Before the yield, only a fence file without Kept lets the death stand for the vote. From the switchover on the destination may
    /// hold the only complete copy, whether or not it has been heard of, and even when an abort was chosen: while the row is
    /// undecided nobody was told to discard it. So it is waited for, and committed to as soon as it is Verified.
    /// </summary>
    /// <param name="asYielded">the source has yielded, or its death stands for that vote.</param>
    private static Decision<CoordinatorEvent> SourceDied(CoordinatorState s, bool asYielded, CoordinatorEvent fact)
    {
        if (s.Decision == OwnershipDecision.Committed) return Accept(fact);
        bool mismatch = s.Sent is not null && s.Verified is not null && s.Sent.Digest != s.Verified.Digest;
        if (s is { Decision: OwnershipDecision.Undecided, SwitchedOver: true, DestinationFailed: false }
            && asYielded && !mismatch)
        {
            var forward = s.Verified is null ? MigrationPhase.Verifying : MigrationPhase.Committing;
            return s.Phase == forward ? Accept(fact) : Enter(fact, forward);
        }

        return s.Phase == MigrationPhase.RollingBack ? RolledBack(s, fact) : Enter(fact, MigrationPhase.RollingBack);
    }

    private static Decision<CoordinatorEvent> DecideHostDead(CoordinatorState s, CoordinatorCommand.HostProvenDead proof)
    {
        if (s.Plan is null || s.Ended) return Accept();
        var proven = new CoordinatorEvent.HostProvenDead(proof.Host, proof.By, proof.At);
        if (proof.Host == s.Plan.Source) return s.SourceHostDead ? Accept() : SourceDied(s, s.Yielded, proven);
        return proof.Host != s.Plan.Destination || s.DestinationHostDead ? Accept() : DestinationHostDied(s, proven);
    }

    /// <summary>While the row is not known to be committed nobody was told to run there. After it a permit may have been taken, and the file
    /// that would say so cannot be read.</summary>
    private static Decision<CoordinatorEvent> DestinationHostDied(CoordinatorState s, CoordinatorEvent.HostProvenDead proven) => s switch
    {
        { Phase: MigrationPhase.Completed } or { Phase: MigrationPhase.Resuming, DestinationDone: true } => Accept(proven),
        { Phase: MigrationPhase.Resuming } => Enter(proven, MigrationPhase.GuestLost),
        { Phase: MigrationPhase.RollingBack } => RolledBack(s, proven),
        _ => Accept(
            proven,
            new CoordinatorEvent.AbortChosen([], false, proven.At),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, proven.At)),
    };

    private static Decision<CoordinatorEvent> DecideRow(CoordinatorState s, GuestRow row, DateTimeOffset at)
    {
        if (s.Plan is null || row.Attempt != s.Plan.Migration || row.Decision == s.Decision) return Accept();
        var read = new CoordinatorEvent.DecisionRead(row.Decision, row.Epoch, at);
        return row.Decision switch
        {
            OwnershipDecision.Committed when s.Resumed => Accept(
                read,
                new CoordinatorEvent.PhaseEntered(MigrationPhase.Resuming, at),
                new CoordinatorEvent.PhaseEntered(MigrationPhase.Completed, at)),
            OwnershipDecision.Committed =>
                Accept(read, new CoordinatorEvent.PhaseEntered(MigrationPhase.Resuming, at)),
            // A destination that cannot run, and a source that kept the guest already or died: nothing is left to be told to anybody.
            OwnershipDecision.Aborted when After(s, read) is { SourceDone: true, DestinationGone: true } => Accept(
                read,
                new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, at),
                new CoordinatorEvent.PhaseEntered(RolledBackTo(s), at)),
            OwnershipDecision.Aborted when s.Phase != MigrationPhase.RollingBack =>
                Accept(read, new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, at)),
            OwnershipDecision.Aborted => Accept(read),
            _ => Accept(),
        };
    }

    private static Decision<CoordinatorEvent> DecideRefused(CoordinatorState s, CoordinatorCommand.CommandRefused refused)
    {
        // A refused order before the decision ends the attempt; after it the agent is asked again until it complies. A bandwidth is no
        // reason to: a source of an earlier release does not know of it, and moves the guest all the same.
        if (!MayAbort(s) || refused.Command is LimitBandwidth) return Accept();
        return Abort(refused.At, refused.Code, refused.Reason, "see `migctl migration show`");
    }

    public CoordinatorState Evolve(CoordinatorState state, CoordinatorEvent @event) => After(state, @event);

    private static CoordinatorState After(CoordinatorState state, CoordinatorEvent @event) => @event switch
    {
        CoordinatorEvent.Planned e => state with { Plan = e.Plan, Fence = e.Plan.Fence, By = e.By },
        CoordinatorEvent.PhaseEntered e => state with
        {
            Phase = e.Phase,
            // Put off, the machine was never paused: the destination holds nothing complete.
            SwitchedOver = e.Phase == MigrationPhase.Quiescing || (state.SwitchedOver && e.Phase != MigrationPhase.PreCopy),
        },
        CoordinatorEvent.BandwidthChosen e => state with { Bandwidth = e },
        CoordinatorEvent.TookOver e => state with { Fence = state.Fence with { Term = e.Term }, By = e.By },
        CoordinatorEvent.ReleaseOverdue => state with { ReleaseOverdue = true },
        CoordinatorEvent.CancelRequested => state with { CancelRequested = true },
        CoordinatorEvent.AbortChosen e => state with { Reasons = state.Reasons.AddRange(e.Reasons), Refused = e.Refused },
        CoordinatorEvent.DecisionRead e => state with
        {
            Decision = e.Decision,
            Fence = state.Fence with { Epoch = e.Epoch },
            // What died cannot be told to keep the guest.
            SourceDone = state.SourceDone || (state.SourceDied && e.Decision == OwnershipDecision.Aborted),
        },
        CoordinatorEvent.Observed e => Observe(state, e.Event),
        CoordinatorEvent.HostProvenDead e when e.Host == state.Plan!.Source => state with
        {
            SourceHostDead = true,
            SourceDied = true,
            SourceDone = true,
            Reasons = state.Reasons.Add(DeadHost(e)),
        },
        CoordinatorEvent.HostProvenDead e => state with
        {
            DestinationHostDead = true,
            DestinationFailed = true,
            Reasons = state.Phase == MigrationPhase.Completed ? state.Reasons : state.Reasons.Add(DeadHost(e)),
        },
        _ => throw new InvalidOperationException($"{@event.GetType().Name} is no event of a coordinator"),
    };

    private static CoordinatorState Observe(CoordinatorState s, AgentEvent heard) => heard switch
    {
        DestinationPrepared e => s with { Prepared = e },
        TransferReopened e => s with { Reopened = e },
        ReadyToSwitch e => s with { Readiness = e.Readiness },
        BandwidthLimited e => s with { BandwidthHeard = Math.Max(s.BandwidthHeard, e.Change) },
        SetupCollected e => s with { Setup = e },
        FinalStateSent e => s with { Sent = e },
        DestinationVerified e => s with { Verified = e },
        GuestYielded => s with { Yielded = true },
        GuestResumed => s with { Resumed = true },
        SourceGuestDied e => s with
        {
            Yielded = s.Yielded || e.DiedAsYielded,
            SourceDied = true,
            SourceDone = s.Decision != OwnershipDecision.Committed,
            Reasons = s.Reasons.Add(new Refusal(
                "source.guest-died", $"{s.Plan!.Source}: {e.Reason}", "none: the process is gone")),
        },
        GuestKept => s with { SourceDone = true },
        GuestReleased => s with { SourceDone = true },
        IncomingDiscarded => s with { DestinationDone = true },
        DestinationFailed e => s with { DestinationFailed = true, Reasons = Add(s, s.Plan!.Destination, e.Code, e.Reason) },
        SourceFailed e => s with { Reasons = Add(s, s.Plan!.Source, e.Code, e.Reason) },
        ProvenNeverRan => s with { DestinationDone = true },
        MayHaveRun e => s with { Reasons = Add(s, s.Plan!.Destination, "destination.may-have-run", e.Reason) },
        _ => s,
    };

    public IReadOnlyList<CoordinatorEffect> Pending(CoordinatorState state)
    {
        if (state.Plan is not { } plan || state.Ended) return [];
        var (id, guest, fence) = (plan.Migration, plan.Guest, state.Fence);
        return state.Phase switch
        {
            MigrationPhase.Preparing =>
            [
                Send(new PrepareDestination(id, guest, fence, plan.SpecJson, plan.Configuration, plan.PlainAcceptedBy, state.By)),
                new CoordinatorEffect.Alarm(state.Phase, PreparingLimit),
            ],
            MigrationPhase.Negotiating =>
            [
                state.Setup is null
                    ? Send(new CollectSetup(id, guest, fence))
                    : Send(new CheckSetup(id, guest, fence, state.Setup.Records, plan.UnknownAcceptedBy)),
                new CoordinatorEffect.Alarm(state.Phase, NegotiatingLimit),
            ],
            MigrationPhase.PreCopy =>
            [
                Send(new StartPreCopy(
                    id, guest, fence, state.Prepared!.DataEndpoint, state.Prepared.Token, plan.MaxDowntime, plan.PlainAcceptedBy,
                    plan.VerifyFull, plan.MaxBytesPerSecond, plan.Policy, plan.Costs)),
                .. Reconnect(state, plan),
                .. state.Bandwidth is { } chosen && chosen.Change > state.BandwidthHeard
                    ? [Send(new LimitBandwidth(id, guest, fence, chosen.MaxBytesPerSecond, chosen.Change))]
                    : Array.Empty<CoordinatorEffect>(),
            ],
            MigrationPhase.Verifying when state.SourceDied => [],
            MigrationPhase.Quiescing or MigrationPhase.StopAndCopy or MigrationPhase.Verifying =>
            [
                Send(new SwitchOver(id, guest, fence, PauseDeadline, state.Readiness)),
                .. Reconnect(state, plan),
                new CoordinatorEffect.Alarm(state.Phase, PauseDeadline),
            ],
            MigrationPhase.Committing =>
            [
                state.Yielded
                    ? new CoordinatorEffect.Decide(OwnershipDecision.Committed, false)
                    : Send(new YieldGuest(id, guest, fence)),
            ],
            MigrationPhase.Resuming => ResumingEffects(state, plan),
            MigrationPhase.Completed when state.ReleaseOverdue => [Send(new ReleaseGuest(id, guest, fence))],
            MigrationPhase.Completed =>
            [
                Send(new ReleaseGuest(id, guest, fence)),
                new CoordinatorEffect.Alarm(state.Phase, ReleaseLimit),
            ],
            MigrationPhase.RollingBack => RollingBackEffects(state, plan),
            _ => [],
        };
    }

    /// <summary>The source is told where the destination's data plane is open again, for as long as it may need it.</summary>
    private static IReadOnlyList<CoordinatorEffect> Reconnect(CoordinatorState s, MigrationPlan plan) =>
        s is { Reopened: { } to, Sent: null }
            ? [Send(new ReconnectTransfer(plan.Migration, plan.Guest, s.Fence, to.DataEndpoint, to.Token, to.Opening))]
            : [];

    private static IReadOnlyList<CoordinatorEffect> ResumingEffects(CoordinatorState s, MigrationPlan plan)
    {
        if (s.DestinationGone) return [new CoordinatorEffect.Decide(OwnershipDecision.Aborted, true)];
        var raised = s.Fence with { Epoch = s.Fence.Epoch.Next };
        return s.DestinationFailed
            ? [Send(new ProveNeverRan(plan.Migration, plan.Guest, raised))]
            : [Send(new RunGuest(plan.Migration, plan.Guest, s.Fence))];
    }

    private static List<CoordinatorEffect> RollingBackEffects(CoordinatorState s, MigrationPlan plan)
    {
        if (s.Decision == OwnershipDecision.Undecided)
            return [new CoordinatorEffect.Decide(OwnershipDecision.Aborted, false)];
        var effects = new List<CoordinatorEffect>();
        if (!s.SourceDone) effects.Add(Send(new KeepGuest(plan.Migration, plan.Guest, s.Fence)));
        if (!s.DestinationGone) effects.Add(Send(new DiscardIncoming(plan.Migration, plan.Guest, s.Fence)));
        return effects;
    }

    /// <summary>An abort may be chosen while the row is undecided and the source has not yielded.</summary>
    private static bool MayAbort(CoordinatorState s) =>
        s.Plan is not null && !s.Yielded && s.Phase is > MigrationPhase.Planning and <= MigrationPhase.Committing;

    private static bool StillUndecided(CoordinatorState s) =>
        s is { Phase: MigrationPhase.Committing, Decision: OwnershipDecision.Undecided, SourceDied: false };

    /// <summary>The source died as if it had yielded; only the destination can tell whether a complete copy is left.</summary>
    private static bool WaitsForDestination(CoordinatorState s) =>
        s is { Phase: MigrationPhase.Verifying, Decision: OwnershipDecision.Undecided, SourceDied: true };

    private static bool IsRollingBackUndecided(CoordinatorState s) =>
        s is { Phase: MigrationPhase.RollingBack, Decision: OwnershipDecision.Undecided };

    private static Accepted<CoordinatorEvent> Enter(CoordinatorEvent fact, MigrationPhase phase) =>
        Accept(fact, new CoordinatorEvent.PhaseEntered(phase, fact.At));

    /// <summary>The failure event itself adds its reason to the state; the abort only changes the phase.</summary>
    private static Accepted<CoordinatorEvent> AbortOn(CoordinatorEvent.Observed observed, string code, string reason) =>
        Accept(
            observed,
            new CoordinatorEvent.AbortChosen(
                observed.Event is SourceFailed or DestinationFailed ? [] : [new Refusal(code, reason, "migrate again")],
                false, observed.At),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, observed.At));

    private static Accepted<CoordinatorEvent> Abort(DateTimeOffset at, string code, string reason, string remedy) =>
        Accept(
            new CoordinatorEvent.AbortChosen([new Refusal(code, reason, remedy)], false, at),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, at));

    /// <summary>What a host told of itself, under its name: operators know hosts, not sides.</summary>
    private static ImmutableList<Refusal> Add(CoordinatorState s, HostName host, string code, string reason) =>
        s.Reasons.Add(new Refusal(code, $"{host}: {reason}", "see the host's log; migrate again when it is mended"));

    private static Refusal DeadHost(CoordinatorEvent.HostProvenDead e) =>
        new("host.proven-dead", $"{e.Host} is dead, on {e.By}'s word", "none: what ran there is gone");

    private static CoordinatorEffect.Send Send(AgentCommand command) => new(command);

    private static Accepted<CoordinatorEvent> Accept(params CoordinatorEvent[] events) => new(events);

    private static Refused<CoordinatorEvent> Refuse(string code, string reason) => new(code, reason);
}
