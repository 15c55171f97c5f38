using MigrationCluster.Api;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// Puts three journals into one story. The coordinators' is its spine; what an agent did before its event was heard stands before that
/// event's consequences, and the rest of its journal at the end. Clocks of hosts differ, so times never order anything.
/// </summary>
public sealed class WhyStory
{
    private static readonly CoordinatorMachine Machine = new();

    private readonly MigrationPlan _plan;
    private readonly Dictionary<HostName, Queue<AgentEvent>> _unread;
    private readonly List<WhyEntryView> _timeline = [];
    private CoordinatorState _state = CoordinatorState.New;
    private string _coordinator = "";

    private WhyStory(MigrationPlan plan, Dictionary<HostName, Queue<AgentEvent>> unread) => (_plan, _unread) = (plan, unread);

    /// <param name="record">the guest's row; null: it has none.</param>
    public static WhyView Of(
        MigrationPlan plan, IReadOnlyList<CoordinatorEvent> events, HostEvidence source, HostEvidence destination, GuestRecord? record)
    {
        HostEvidence[] hosts = [source, destination];
        var story = new WhyStory(plan, hosts.Where(host => host.Events is not null)
            .ToDictionary(host => host.Host, host => new Queue<AgentEvent>(host.Events!)));
        foreach (var e in events) story.Tell(e);
        foreach (var (host, unread) in story._unread)
            foreach (var left in unread)
                story.Tell(host, left);
        var state = story._state;
        return new WhyView(
            plan.Migration.Value, plan.Guest.Value, plan.Source.Value, plan.Destination.Value, plan.Fence.Epoch.Value,
            state.Phase.ToString(), MigrationViews.OutcomeOf(state), story._timeline,
            WhyVerdict.Of(plan, state, record, hosts), [.. hosts.Select(host => host.Missing).OfType<string>()]);
    }

    private void Tell(CoordinatorEvent e)
    {
        if (e is CoordinatorEvent.Observed observed) TellHeard(observed.Event);
        else if (Decided(e) is var (what, evidence))
        {
            if (e is CoordinatorEvent.Planned { By: var planner }) _coordinator = Coordinator(planner);
            if (e is CoordinatorEvent.TookOver { By: var successor }) _coordinator = Coordinator(successor);
            ulong term = e is CoordinatorEvent.TookOver took ? took.Term.Value
                : e is CoordinatorEvent.Planned ? _plan.Fence.Term.Value : _state.Fence.Term.Value;
            _timeline.Add(new WhyEntryView(e.At, _coordinator, what, evidence, term));
        }

        _state = Machine.Evolve(_state, e);
    }

    /// <summary>An agent's journal up to what was heard of it; of an agent that cannot be asked, what was heard.</summary>
    private void TellHeard(AgentEvent heard)
    {
        string written = WireJson.Write(heard);
        foreach (var (host, unread) in _unread)
        {
            if (unread.All(e => WireJson.Write(e) != written)) continue;
            for (var e = unread.Dequeue(); ; e = unread.Dequeue())
            {
                Tell(host, e);
                if (WireJson.Write(e) == written) return;
            }
        }

        var silent = WhyWords.IsOfDestination(heard) ? _plan.Destination : _plan.Source;
        // Of an agent whose journal is here it was told already: feeds are heard again after a restart.
        if (!_unread.ContainsKey(silent)) Tell(silent, heard);
    }

    private void Tell(HostName host, AgentEvent e)
    {
        if (WhyWords.Of(e) is not var (who, what, evidence)) return;
        _timeline.Add(new WhyEntryView(e.At, $"{who} {host}", what, evidence));
    }

    /// <returns>null: a step on the way, which the agents' own entries tell better.</returns>
    private (string What, IReadOnlyList<string> Evidence)? Decided(CoordinatorEvent e) => e switch
    {
        CoordinatorEvent.Planned => (
            $"planned {_plan.Guest} from {_plan.Source} to {_plan.Destination}",
            [$"the row was opened for it: undecided at {_plan.Fence.Epoch}, {_plan.Source} stays the owner",
                .. _plan.UnknownAcceptedBy is { } name ? [$"{name} accepted what nobody could tell"] : Array.Empty<string>(),
                .. _plan.PlainAcceptedBy is { } plain ? [$"{plain} had guest RAM travel unsealed"] : Array.Empty<string>()]),
        CoordinatorEvent.TookOver took => (
            $"took over under term {took.Term.Value}",
            [$"the lease of the coordinator of term {_state.Fence.Term.Value} had run out, or it resigned or was restarted"]),
        CoordinatorEvent.HostProvenDead dead => ($"was told that {dead.Host} is dead", [$"on {dead.By}'s word"]),
        CoordinatorEvent.BandwidthChosen chosen => (
            $"was told by an operator to have the transfer keep to {Bandwidth.Text(chosen.MaxBytesPerSecond)}", []),
        CoordinatorEvent.CancelRequested => ("was told by an operator to cancel", []),
        CoordinatorEvent.AbortChosen chosen => ("chose to abort", [.. Reasons(chosen)]),
        CoordinatorEvent.PhaseEntered { Phase: MigrationPhase.Committing } => (
            $"asked {_plan.Source} to yield",
            [_state.Sent is { } sent
                ? $"both sides hold the same digest: {sent.Digest}"
                : $"{_plan.Destination} holds everything (digest {_state.Verified?.Digest}); the source's guest is dead"]),
        CoordinatorEvent.DecisionRead { Decision: OwnershipDecision.Committed } read => (
            $"committed: the row names {_plan.Destination} at {read.Epoch}", [.. Votes()]),
        CoordinatorEvent.DecisionRead { Decision: OwnershipDecision.Aborted } read => (
            $"aborted: the row names {_plan.Source} at {read.Epoch}", [.. WhyAborted()]),
        CoordinatorEvent.ReleaseOverdue => ($"reported that {_plan.Source} has not released its copy in time", []),
        CoordinatorEvent.PhaseEntered { Phase: MigrationPhase.Completed } => ("completed the migration", [$"{_plan.Guest} runs on {_plan.Destination}"]),
        CoordinatorEvent.PhaseEntered { Phase: MigrationPhase.Failed or MigrationPhase.Cancelled } ended => (
            $"ended the migration: {ended.Phase}", [$"{_plan.Source} kept {_plan.Guest}, {_plan.Destination} discarded its copy"]),
        CoordinatorEvent.PhaseEntered { Phase: MigrationPhase.GuestLost } => (
            $"gave {_plan.Guest} up as lost", [.. _state.Reasons.Select(reason => reason.Message)]),
        _ => null,
    };

    private IEnumerable<string> Reasons(CoordinatorEvent.AbortChosen chosen)
    {
        var reasons = chosen.Reasons.Count > 0 ? chosen.Reasons : _state.Reasons;
        return reasons.Select(reason => $"{reason.Message} [{reason.Code}]");
    }

    private IEnumerable<string> Votes()
    {
        yield return _state.Verified is { } verified
            ? $"{_plan.Destination} voted Verified({_plan.Fence.Epoch}) of digest {verified.Digest}"
            : $"{_plan.Destination}'s vote Verified was not heard by this journal";
        yield return _state.SourceDied
            ? $"the guest process on {_plan.Source} is dead; its fence file, read under its lock, held no Kept, so Yielded({_plan.Fence.Epoch}) was written for it"
            : $"{_plan.Source} voted Yielded({_plan.Fence.Epoch})";
    }

    private IEnumerable<string> WhyAborted()
    {
        if (_state.Decision == OwnershipDecision.Committed)
            yield return $"{_plan.Destination} is proven never to have run: everything of its process dead, no permit in its fence file";
        else if (_state.Reasons.Count == 0)
            yield return "the row was found aborted";
        foreach (var reason in _state.Reasons) yield return $"{reason.Message} [{reason.Code}]";
        yield return "the raised epoch makes every vote of the attempt void";
    }

    private static string Coordinator(HostName? by) => by is { } node ? $"coordinator {node}" : "coordinator";
}
