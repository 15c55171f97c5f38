using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>
/// What an attempt's coordinators do. The one that holds the lease appends to the shared journal; the displaced one is refused
/// there, but an order it sent and a swap it began may still arrive. Each method changes a state in place.
/// </summary>
internal sealed class CoordinatorMoves(Space space)
{
    private readonly Dictionary<int, int> _hears = [];
    private readonly Dictionary<int, int> _reads = [];
    private readonly Dictionary<int, int> _refusals = [];
    private readonly Dictionary<int, int> _takeOvers = [];
    private readonly Dictionary<int, int> _deadlines = [];
    private readonly Dictionary<int, int[]> _sends = [];
    private readonly Dictionary<(int, int, int), int> _settled = [];
    private readonly Dictionary<(int Row, int State, int Effect), int> _swaps = [];

    /// <summary>Orders that a coordinator in this state has sent and sends again until they are answered.</summary>
    public int[] Sends(int coordinator)
    {
        if (!_sends.TryGetValue(coordinator, out int[]? sends))
            _sends[coordinator] = sends = [.. space.Coordinators.Pending(coordinator).OfType<CoordinatorEffect.Send>()
                .Select(send => space.Messages.Of(send.Command))];
        return sends;
    }

    public int Hear(int agentEvent) => Known(_hears, agentEvent, () => new CoordinatorCommand.Hear(space.AgentEvents[agentEvent], default));

    public int Deadline(MigrationPhase phase) =>
        Known(_deadlines, (int)phase, () => new CoordinatorCommand.DeadlinePassed(phase, default));

    public int Cancel() => Known(_deadlines, -1, () => new CoordinatorCommand.Cancel(default));

    /// <param name="left">how often it may still change: another bandwidth each time.</param>
    public int LimitBandwidth(int left) => Known(_deadlines, -4 - left, () => new CoordinatorCommand.LimitBandwidth(1 + left, default));

    /// <summary>The operator proves a host dead.</summary>
    public bool ProveDead(Span<int> state, int attempt, int host)
    {
        bool unprovable = attempt == space.Begun(state) - 1 && IsUnprovable(state, attempt, host);
        bool told = Tell(state, attempt, Known(
            _deadlines, -2 - host, () => new CoordinatorCommand.HostProvenDead(Space.Hosts[host], "operator", default)));
        if (told && unprovable) state[Layout.Faults] = new Faults(state[Layout.Faults]).Lose().Value;
        return told;
    }

    /// <summary>DESIGN's table, of a whole host: what nobody can prove about its fence file costs the guest, even where a complete copy is left.
    /// A source whose yield no coordinator has heard of may have kept the guest; a destination that may have been told to run may have run.</summary>
    private bool IsUnprovable(ReadOnlySpan<int> state, int attempt, int deadHost)
    {
        var journal = space.Journal(state, attempt);
        return space.HostOf(state, attempt, Side.Source) == deadHost
            ? !journal.Yielded && space.Rows[state[Layout.Row]].Decision == OwnershipDecision.Undecided
            : journal is { Decision: OwnershipDecision.Committed, DestinationDone: false };
    }

    public int Refused(int message) => Known(_refusals, message,
        () => new CoordinatorCommand.CommandRefused(space.Messages[message], "refused", "refused", default));

    /// <summary>The owner is told; what it makes of it goes into the journal.</summary>
    /// <returns>false: nothing changed.</returns>
    public bool Tell(Span<int> state, int attempt, int command)
    {
        ref int owner = ref state[Layout.At(attempt, Layout.Owner)];
        var turn = space.Coordinators.Step(owner, command);
        if (turn.State == owner) return false;
        ref int journal = ref state[Layout.At(attempt, Layout.Journal)];
        int old = owner;
        journal = journal == old ? turn.State : space.Coordinators.Evolve(journal, turn);
        owner = turn.State;
        Settle(state, attempt, old);
        return true;
    }

    /// <summary>The next unread event of an agent's feed.</summary>
    /// <param name="advance">false: the coordinator dies before it has moved its cursor.</param>
    public bool HearNext(Span<int> state, int attempt, int side, bool advance)
    {
        ref int feed = ref state[Layout.At(attempt, Layout.SourceFeed + side)];
        if (feed == 0) return false;
        int command = Hear(space.Sequences[feed][0]);
        bool changed = Tell(state, attempt, command);
        if (!advance) return changed;
        feed = state[Layout.At(attempt, Layout.SourceFeed + side)];
        if (feed != 0) state[Layout.At(attempt, Layout.SourceFeed + side)] = space.Sequences.RemoveAt(feed, 0);
        return true;
    }

    /// <summary>A coordinator carries on from the journal under the next term.</summary>
    /// <param name="displaces">the one before lives on, without the lease.</param>
    public bool TakeOver(Span<int> state, int attempt, bool displaces)
    {
        ref int journal = ref state[Layout.At(attempt, Layout.Journal)];
        ref int owner = ref state[Layout.At(attempt, Layout.Owner)];
        var read = space.Coordinators.States[journal];
        int command = Known(_takeOvers, (int)read.Fence.Term.Value,
            () => new CoordinatorCommand.TakeOver(new Term(read.Fence.Term.Value + 1), default));
        var turn = space.Coordinators.Step(journal, command);
        if (turn.State == journal) return false;
        int old = owner;
        if (displaces) state[Layout.At(attempt, Layout.Displaced)] = Remainder(old);
        (journal, owner) = (turn.State, turn.State);
        Settle(state, attempt, old);
        return true;
    }

    /// <summary>The row as a swap that this coordinator waits for leaves it, by Protocol's own functions.</summary>
    public int Swap(int row, int coordinator, int effect)
    {
        if (_swaps.TryGetValue((row, coordinator, effect), out int known)) return known;
        var decide = (CoordinatorEffect.Decide)space.Coordinators.Pending(coordinator)[effect];
        var plan = space.Coordinators.States[coordinator].Plan!;
        var before = space.Rows[row];
        var after = decide switch
        {
            { Decision: OwnershipDecision.Committed } => before.Commit(plan.Migration, plan.Fence.Epoch),
            { OnProof: true } => before.AbortOnProof(plan.Migration, plan.Fence.Epoch, plan.Source),
            _ => before.Abort(plan.Migration, plan.Fence.Epoch),
        };
        return _swaps[(row, coordinator, effect)] = space.Rows.Of(after ?? before);
    }

    public int ReadRow(int row) => Known(_reads, row, () => new CoordinatorCommand.RowRead(space.Rows[row], default));

    /// <summary>The displaced coordinator is told. The journal refuses what it makes of it, unless that check was planted away.</summary>
    public bool TellDisplaced(Span<int> state, int attempt, int command)
    {
        ref int displaced = ref state[Layout.At(attempt, Layout.Displaced)];
        var turn = space.Coordinators.Step(displaced, command);
        if (turn.State == displaced) return false;
        if (space.Surroundings.AppendChecksTerm)
        {
            // Refused by name: it has learned that it is the displaced one, and stops.
            displaced = 0;
            return true;
        }

        ref int journal = ref state[Layout.At(attempt, Layout.Journal)];
        journal = space.Coordinators.Evolve(journal, turn);
        displaced = turn.State;
        foreach (int message in Sends(displaced)) Fly(state, attempt, message);
        return true;
    }

    /// <summary>Brings an attempt to its plainest form: what can have no effect any more is dropped.</summary>
    public void Settle(Span<int> state, int attempt, int before)
    {
        int owner = state[Layout.At(attempt, Layout.Owner)];
        if (before != owner)
            foreach (int message in Sends(before))
                Fly(state, attempt, message);
        if (space.Coordinators.States[owner].Ended)
        {
            // Who has ended hears nothing.
            state[Layout.At(attempt, Layout.SourceFeed)] = 0;
            state[Layout.At(attempt, Layout.SourceFeed + 1)] = 0;
        }

        Prune(state, attempt);
    }

    /// <summary>Of the messages in flight only those stay that their agent would not refuse, or pass over, for ever.</summary>
    public void Prune(Span<int> state, int attempt)
    {
        ref int flying = ref state[Layout.At(attempt, Layout.InFlight)];
        if (flying == 0) return;
        int owner = state[Layout.At(attempt, Layout.Owner)];
        int source = state[Layout.At(attempt, Layout.Source)];
        int destination = state[Layout.At(attempt, Layout.Destination)];
        flying = Keep(flying, owner, -1, message => !Sends(owner).Contains(message));
        flying = Keep(flying, source, -2, message => space.Messages[message] is not { Side: Side.Source } order
            || IsOpen(space.Sources.States[source], order.Fence));
        flying = Keep(flying, destination, -3, message => space.Messages[message] is not { Side: Side.Destination } order
            || IsOpen(space.Destinations.States[destination], order.Fence));
    }

    private static bool IsOpen(SourceState state, Fence fence) => state.Phase == SourcePhase.New
        || (!SessionEnds.HasEnded(state) && fence >= state.Fence);

    private static bool IsOpen(DestinationState state, Fence fence) => state.Phase == DestinationPhase.New
        || (state.Phase is not (DestinationPhase.Discarded or DestinationPhase.Proven) && fence >= state.Fence);

    /// <summary>Without a swap to make, a displaced coordinator can do nothing but send what is in flight already.</summary>
    private int Remainder(int coordinator) =>
        !space.Surroundings.AppendChecksTerm || space.Coordinators.Pending(coordinator).Any(effect => effect is CoordinatorEffect.Decide)
            ? coordinator
            : 0;

    private void Fly(Span<int> state, int attempt, int message)
    {
        ref int flying = ref state[Layout.At(attempt, Layout.InFlight)];
        flying = space.Sequences.Insert(flying, message);
    }

    private int Keep(int sequence, int against, int part, Func<int, bool> keep)
    {
        if (sequence == 0) return 0;
        if (!_settled.TryGetValue((sequence, against, part), out int kept))
            _settled[(sequence, against, part)] = kept = space.Sequences.Of([.. space.Sequences[sequence].ToArray().Where(keep)]);
        return kept;
    }

    private int Known(Dictionary<int, int> memo, int key, Func<CoordinatorCommand> make)
    {
        if (!memo.TryGetValue(key, out int command)) memo[key] = command = space.Coordinators.Commands.Of(make());
        return command;
    }
}
