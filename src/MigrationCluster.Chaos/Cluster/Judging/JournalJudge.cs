using System.Text.Json;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Cluster.Judging;

/// <summary>
/// Sets histories against the machines. A coordinator's journal must be made of decisions: from each state some command exists to which the
/// machine itself answers with just the events that follow. The agents' journals must go from phase to phase as the diagrams at the head of
/// their machines allow, which is less: their commands carry more than their events tell. In what order devices were moved they tell, though:
/// none of a group may run while another stands, and no guest process may have had to refuse such an order.
/// </summary>
internal static class JournalJudge
{
    private const string Name = "EveryTransitionAllowed";

    public static IEnumerable<Violation> Coordinator(string migration, IReadOnlyList<string> bodies)
    {
        var machine = new CoordinatorMachine();
        var state = CoordinatorState.New;
        var events = new List<CoordinatorEvent>();
        if (Parse(migration, bodies, events) is { } unreadable) return [unreadable];
        for (int at = 0; at < events.Count;)
        {
            int taken = Candidates(state, events, at).Select(command => Matching(machine.Decide(state, command), events, at)).DefaultIfEmpty().Max();
            if (taken == 0)
                return [new Violation(Name, $"{migration}: no command leads the coordinator from {state.Phase} to {events[at].GetType().Name} (entry {at + 1})")];
            for (int i = 0; i < taken; i++) state = machine.Evolve(state, events[at + i]);
            at += taken;
        }

        return [];
    }

    public static IEnumerable<Violation> Source(string migration, IReadOnlyList<string> bodies) =>
        Agent(
            migration, "source", bodies, SourceState.New, new SourceMachine().Evolve, state => state.Phase, Allows,
            state => GroupInvariants.Check([.. state.Members], masterless: false));

    public static IEnumerable<Violation> Destination(string migration, IReadOnlyList<string> bodies) =>
        Agent(
            migration, "destination", bodies, DestinationState.New, new DestinationMachine().Evolve, state => state.Phase, Allows,
            state => GroupInvariants.Check([.. state.Members], masterless: state.Phase is not (DestinationPhase.Resuming or DestinationPhase.Resumed)));

    /// <summary>The diagram of <see cref="SourceMachine"/>.</summary>
    internal static bool Allows(SourcePhase from, SourcePhase to) => from == to || to switch
    {
        SourcePhase.CollectingSetup => from == SourcePhase.New,
        SourcePhase.PreCopy => from is SourcePhase.Negotiated or SourcePhase.Ready or SourcePhase.Pausing,
        // The guest keeps itself by its own deadline, wherever it is paused; untouched, it is kept at once.
        SourcePhase.KeepVoting => from is < SourcePhase.KeepVoting,
        SourcePhase.Keeping or SourcePhase.Kept => from is < SourcePhase.Kept,
        SourcePhase.Releasing => from is SourcePhase.Yielded or SourcePhase.Died,
        SourcePhase.Died => from is not (SourcePhase.New or SourcePhase.Released),
        SourcePhase.New => false,
        _ => from == to - 1,
    };

    /// <summary>The diagram of <see cref="DestinationMachine"/>.</summary>
    internal static bool Allows(DestinationPhase from, DestinationPhase to) => from == to || to switch
    {
        DestinationPhase.Discarding => from is < DestinationPhase.Permitting or DestinationPhase.Proven,
        DestinationPhase.Proving => from is > DestinationPhase.New and < DestinationPhase.Discarding,
        DestinationPhase.New => false,
        _ => from == to - 1,
    };

    private static IEnumerable<Violation> Agent<TState, TPhase>(
        string migration, string side, IReadOnlyList<string> bodies, TState state, Func<TState, AgentEvent, TState> evolve,
        Func<TState, TPhase> phase, Func<TPhase, TPhase, bool> allows, Func<TState, IEnumerable<Violation>> group)
    {
        var events = new List<AgentEvent>();
        if (Parse(migration, bodies, events) is { } unreadable)
        {
            yield return unreadable;
            yield break;
        }

        for (int at = 0; at < events.Count; at++)
        {
            var before = phase(state);
            string? wrong = null;
            try
            {
                state = evolve(state, events[at]);
                if (!allows(before, phase(state))) wrong = $"went from {before} to {phase(state)}";
            }
            catch (Exception error) when (error is InvalidOperationException or KeyNotFoundException)
            {
                wrong = $"cannot take it in {before}: {error.Message}";
            }

            if (wrong is null)
            {
                string? reason = events[at] switch { SourceFailed e => e.Reason, DestinationFailed e => e.Reason, _ => null };
                if (reason is not null && PeerOrder.IsMistake(reason))
                    yield return new Violation("QuiescedBeforeStopped", $"{migration}, {side}: the guest refused an order: {reason}");
                // States that were read all at once, of a guest that had kept itself meanwhile, are one look.
                if (at + 1 < events.Count && events[at + 1].At == events[at].At) continue;
                foreach (var violation in group(state)) yield return violation with { Detail = $"{migration}, {side}: {violation.Detail} (entry {at + 1})" };
                continue;
            }

            yield return new Violation(Name, $"{migration}: the {side} {wrong} by {events[at].GetType().Name} (entry {at + 1})");
            yield break;
        }
    }

    /// <summary>Every command that could have led to the next event, by what the event itself tells.</summary>
    private static IEnumerable<CoordinatorCommand> Candidates(CoordinatorState state, List<CoordinatorEvent> events, int at)
    {
        switch (events[at])
        {
            case CoordinatorEvent.Planned e:
                yield return new CoordinatorCommand.Begin(e.Plan, e.At, e.By);
                break;
            case CoordinatorEvent.Observed e:
                yield return new CoordinatorCommand.Hear(e.Event, e.At);
                break;
            case CoordinatorEvent.CancelRequested e:
                yield return new CoordinatorCommand.Cancel(e.At);
                break;
            case CoordinatorEvent.BandwidthChosen e:
                yield return new CoordinatorCommand.LimitBandwidth(e.MaxBytesPerSecond, e.At);
                break;
            case CoordinatorEvent.TookOver e:
                yield return new CoordinatorCommand.TakeOver(e.Term, e.At, e.By);
                break;
            case CoordinatorEvent.ReleaseOverdue e:
                yield return new CoordinatorCommand.DeadlinePassed(MigrationPhase.Completed, e.At);
                break;
            case CoordinatorEvent.HostProvenDead e:
                yield return new CoordinatorCommand.HostProvenDead(e.Host, e.By, e.At);
                break;
            case CoordinatorEvent.DecisionRead e when state.Plan is { } plan:
                foreach (var owner in (HostName[])[plan.Source, plan.Destination])
                    yield return new CoordinatorCommand.RowRead(
                        new GuestRow(plan.Guest, owner, e.Epoch, e.Decision, plan.Migration, plan.Destination), e.At);
                break;
            case CoordinatorEvent.AbortChosen e when state.Plan is { } plan && e.Reasons is [var reason]:
                yield return new CoordinatorCommand.DeadlinePassed(state.Phase, e.At);
                yield return new CoordinatorCommand.CommandRefused(
                    new CollectSetup(plan.Migration, plan.Guest, state.Fence), reason.Code, reason.Message, e.At);
                break;
        }
    }

    /// <returns>how many events of the journal the decision is; 0: it is none of them.</returns>
    private static int Matching(Decision<CoordinatorEvent> decision, List<CoordinatorEvent> events, int at)
    {
        if (decision is not Accepted<CoordinatorEvent> { Events: { Count: > 0 } decided } || at + decided.Count > events.Count) return 0;
        for (int i = 0; i < decided.Count; i++)
            if (WireJson.Write(decided[i]) != WireJson.Write(events[at + i])) return 0;
        return decided.Count;
    }

    private static Violation? Parse<T>(string migration, IReadOnlyList<string> bodies, List<T> into)
    {
        for (int i = 0; i < bodies.Count; i++)
        {
            try
            {
                into.Add(WireJson.Read<T>(bodies[i]));
            }
            catch (JsonException error)
            {
                return new Violation(Name, $"{migration}: entry {i + 1} cannot be read: {error.Message}");
            }
        }

        return null;
    }
}
