using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>
/// Liveness. From a state on no fault happens any more: what is in flight is lost, the cut is mended, who lost its lease is gone, every
/// answer comes, deadlines pass only when nothing else is left to happen. That continuation is one path; it must come to rest with
/// every migration ended and, while a complete copy was left, exactly one owner. States that led there are remembered.
/// </summary>
internal sealed class Healing(Space space, CoordinatorMoves coordinators, AgentMoves agents, Moves moves, Judge judge)
{
    private readonly StateTable _good = new(space.Width);
    private readonly List<int[]> _path = [];

    public int Remembered => _good.Count;

    /// <summary>What is wrong with where a state leads; null when it heals.</summary>
    /// <param name="story">filled with the steps of the continuation when it does not.</param>
    public Violation? Check(ReadOnlySpan<int> state, List<(int[] Before, Step Step, int[] After)>? story = null)
    {
        int[] now = Calm(state);
        _path.Clear();
        while (true)
        {
            bool known = !_good.TryAdd(now, out _);
            // A step of this very path: then it goes round and round.
            if (known && _path.Any(earlier => earlier.AsSpan().SequenceEqual(now)))
                return new Violation("EveryMigrationTerminates", "without any fault it goes round and round");
            if (known && story is null) return null;
            _path.Add(now);
            int[] next = [.. now];
            if (Advance(next) is not { } step) return AtRest(now);
            story?.Add((now, step, next));
            if ((judge.Check(now, next) ?? CheckCommitted(now, next)) is { } violation) return violation;
            now = next;
        }
    }

    /// <summary>A state further on, by that continuation, with the faults that may happen as they were.</summary>
    public int[] Continue(int[] state, Func<CoordinatorState, bool> reached)
    {
        int[] now = Calm(state);
        while (!reached(space.Journal(now, 0)) && Advance(now) is not null)
        {
        }

        now[Layout.Faults] = state[Layout.Faults];
        return now;
    }

    /// <summary>By then every death has been told of: while the source could go on, nobody gives the guest to a host where a device is dead.</summary>
    private Violation? CheckCommitted(ReadOnlySpan<int> before, ReadOnlySpan<int> after)
    {
        if (before[Layout.Row] == after[Layout.Row] || space.Rows[after[Layout.Row]].Decision != OwnershipDecision.Committed) return null;
        int attempt = space.Begun(after) - 1;
        return space.GuestOn(after, space.HostOf(after, attempt, Side.Source)) is { Alive: true }
            && space.GuestOn(after, space.HostOf(after, attempt, Side.Destination))?.DeadDevice is { } dead
            ? new Violation("DeathsAreNoticed", $"the row is committed to a host where {dead} had died, and the source could go on")
            : null;
    }

    private Violation? AtRest(ReadOnlySpan<int> state)
    {
        for (int attempt = 0; attempt < space.Begun(state); attempt++)
            if (space.Journal(state, attempt) is { Ended: false } journal)
                return new Violation("EveryMigrationTerminates",
                    $"{journal.Plan!.Migration} is {journal.Phase} for ever, with nothing left to happen");
        return new Faults(state[Layout.Faults]).Lost ? null : judge.CheckHealed(state);
    }

    private int[] Calm(ReadOnlySpan<int> state)
    {
        int[] calm = state.ToArray();
        calm[Layout.Faults] = new Faults(calm[Layout.Faults]).Over().Value;
        for (int attempt = 0; attempt < space.Begun(state); attempt++)
        {
            calm[Layout.At(attempt, Layout.InFlight)] = 0;
            calm[Layout.At(attempt, Layout.Displaced)] = 0;
            calm[Layout.At(attempt, Layout.Owner)] = calm[Layout.At(attempt, Layout.Journal)];
        }

        return calm;
    }

    /// <summary>The first step of these that changes anything.</summary>
    private Step? Advance(Span<int> state)
    {
        int begun = space.Begun(state);
        Step? step = null;
        for (int attempt = 0; step is null && attempt < begun; attempt++) step = Listen(state, attempt);
        for (int attempt = 0; step is null && attempt < begun; attempt++) step = Work(state, attempt);
        for (int attempt = 0; step is null && attempt < begun; attempt++) step = Tell(state, attempt);
        for (int attempt = 0; step is null && attempt < begun; attempt++) step = Wait(state, attempt);
        for (int attempt = 0; attempt < begun; attempt++) state[Layout.At(attempt, Layout.InFlight)] = 0;
        return step;
    }

    private Step? Listen(Span<int> state, int attempt)
    {
        for (int side = 0; side < 2; side++)
        {
            int late = state[Layout.At(attempt, Layout.SourceLate + side)];
            if (late != 0)
            {
                agents.HearLate(state, attempt, side, 0);
                return new Step(StepKind.LateAnswer, attempt, side, space.Sequences[late][0]);
            }

            int feed = state[Layout.At(attempt, Layout.SourceFeed + side)];
            if (feed != 0 && coordinators.HearNext(state, attempt, side, advance: true))
                return new Step(StepKind.Hear, attempt, side, space.Sequences[feed][0]);
            if (!agents.IsDead(state, attempt, side) && agents.NoticeDeath(state, attempt, side)) return new Step(StepKind.NoticeDeath, attempt, side);
        }

        return null;
    }

    private Step? Work(Span<int> state, int attempt)
    {
        int[] before = state.ToArray();
        for (int side = 0; side < 2; side++)
            for (int effect = 0; effect < agents.Pending(before, attempt, side) && !agents.IsDead(before, attempt, side); effect++)
            {
                if (agents.Effect(before, attempt, side, effect) is DestinationEffect.AwaitWord) continue;
                var outcome = agents.Perform(before, attempt, side, effect, Chance.Works);
                agents.Act(state, attempt, side, outcome);
                if (outcome.Command != 0) agents.Run(state, attempt, side, outcome.Command);
                if (!state.SequenceEqual(before)) return new Step(StepKind.Perform, attempt, side, effect * 4);
            }

        return null;
    }

    private Step? Tell(Span<int> state, int attempt)
    {
        int[] before = state.ToArray();
        int owner = before[Layout.At(attempt, Layout.Owner)];
        var pending = space.Coordinators.Pending(owner);
        for (int effect = 0; effect < pending.Count; effect++)
        {
            var step = new Step(StepKind.Swap, attempt, 0, owner, effect);
            if (pending[effect] is CoordinatorEffect.Decide)
            {
                moves.Swap(state, attempt, owner, effect);
                coordinators.Tell(state, attempt, coordinators.ReadRow(state[Layout.Row]));
            }
            else if (pending[effect] is CoordinatorEffect.Send send
                && !agents.IsDead(before, attempt, send.Command.Side == Side.Source ? 0 : 1))
            {
                int message = space.Messages.Of(send.Command);
                step = new Step(StepKind.Deliver, attempt, 0, message);
                if (agents.Deliver(state, attempt, message) is not null)
                    coordinators.Tell(state, attempt, coordinators.Refused(message));
            }

            if (!state.SequenceEqual(before)) return step;
        }

        return null;
    }

    private Step? Wait(Span<int> state, int attempt)
    {
        // Only a person proves a host dead, and needs no hurry: by then everything else has happened that can.
        if (new Faults(state[Layout.Faults]).Dead is > 0 and var dead && coordinators.ProveDead(state, attempt, dead - 1))
            return new Step(StepKind.ProveDead, attempt, dead - 1);
        int owner = state[Layout.At(attempt, Layout.Owner)];
        foreach (var alarm in space.Coordinators.Pending(owner).OfType<CoordinatorEffect.Alarm>())
            if (coordinators.Tell(state, attempt, coordinators.Deadline(alarm.Phase)))
                return new Step(StepKind.Deadline, attempt, 0, (int)alarm.Phase);
        for (int effect = 0; effect < agents.Pending(state, attempt, 1) && !agents.IsDead(state, attempt, 1); effect++)
        {
            if (agents.Effect(state, attempt, 1, effect) is not DestinationEffect.AwaitWord) continue;
            agents.Run(state, attempt, 1, agents.Perform(state, attempt, 1, effect, Chance.Works).Command);
            return new Step(StepKind.Expires, attempt, 1, effect);
        }

        for (int host = 0; host < 2; host++)
        {
            if (space.GuestOn(state, host) is not { } guest || !space.Surroundings.DeadlineMayPass(guest)) continue;
            int before = state[Layout.Guest + host];
            state[Layout.Guest + host] = space.Guests.Of(space.Surroundings.KeepItself(guest));
            if (state[Layout.Guest + host] != before) return new Step(StepKind.KeepsItself, 0, host);
        }

        return null;
    }
}
