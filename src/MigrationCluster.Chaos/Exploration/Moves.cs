using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>Everything that may happen next, faults and all.</summary>
internal sealed class Moves(Space space, CoordinatorMoves coordinators, AgentMoves agents)
{
    public void Expand(ReadOnlySpan<int> state, Successors into)
    {
        into.Clear();
        var faults = new Faults(state[Layout.Faults]);
        int begun = space.Begun(state);
        ExpandBegin(state, begun, into);
        for (int attempt = 0; attempt < begun; attempt++)
        {
            ExpandCoordinator(state, faults, attempt, into);
            ExpandDisplaced(state, attempt, into);
            ExpandDeliveries(state, faults, attempt, into);
            for (int side = 0; side < 2; side++) ExpandAgent(state, faults, attempt, side, into);
        }

        ExpandHosts(state, faults, into);
    }

    private void ExpandBegin(ReadOnlySpan<int> state, int begun, Successors into)
    {
        if (begun == space.Configuration.Attempts || !space.Journal(state, begun - 1).Ended || new Faults(state[Layout.Faults]).Dead != 0) return;
        var next = into.Add(state, new Step(StepKind.Begin, begun));
        Finish(state, next, space.Begin(next, begun), into);
    }

    private void ExpandCoordinator(ReadOnlySpan<int> state, Faults faults, int attempt, Successors into)
    {
        int owner = state[Layout.At(attempt, Layout.Owner)];
        if (space.Coordinators.States[owner].Ended) return;
        for (int side = 0; side < 2; side++)
        {
            if (state[Layout.At(attempt, Layout.SourceFeed + side)] == 0 || IsCut(state, faults, attempt, side)) continue;
            int heard = space.Sequences[state[Layout.At(attempt, Layout.SourceFeed + side)]][0];
            var next = into.Add(state, new Step(StepKind.Hear, attempt, side, heard));
            Finish(state, next, coordinators.HearNext(next, attempt, side, advance: true), into);
            if (faults.Crashes == 0) continue;
            next = into.Add(state, new Step(StepKind.HearThenDie, attempt, side, heard));
            bool changed = coordinators.HearNext(next, attempt, side, advance: false)
                && coordinators.TakeOver(next, attempt, displaces: false);
            next[Layout.Faults] = faults.Crash().Value;
            Finish(state, next, changed, into);
        }

        var pending = space.Coordinators.Pending(owner);
        for (int effect = 0; effect < pending.Count; effect++)
        {
            if (pending[effect] is CoordinatorEffect.Decide) ExpandSwap(state, attempt, owner, effect, into);
            if (pending[effect] is not CoordinatorEffect.Alarm alarm || !space.Configuration.Deadlines) continue;
            var next = into.Add(state, new Step(StepKind.Deadline, attempt, 0, (int)alarm.Phase));
            Finish(state, next, coordinators.Tell(next, attempt, coordinators.Deadline(alarm.Phase)), into);
        }

        if (faults.Dead > 0)
        {
            var next = into.Add(state, new Step(StepKind.ProveDead, attempt, faults.Dead - 1));
            Finish(state, next, coordinators.ProveDead(next, attempt, faults.Dead - 1), into);
        }

        if (faults.Cancels > 0)
        {
            var next = into.Add(state, new Step(StepKind.Cancel, attempt));
            next[Layout.Faults] = faults.Cancel().Value;
            Finish(state, next, coordinators.Tell(next, attempt, coordinators.Cancel()), into);
        }

        if (faults.Bandwidths > 0)
        {
            var next = into.Add(state, new Step(StepKind.LimitBandwidth, attempt));
            next[Layout.Faults] = faults.Limit().Value;
            Finish(state, next, coordinators.Tell(next, attempt, coordinators.LimitBandwidth(faults.Bandwidths)), into);
        }

        if (faults.Crashes > 0)
        {
            var next = into.Add(state, new Step(StepKind.CoordinatorDies, attempt));
            next[Layout.Faults] = faults.Crash().Value;
            Finish(state, next, coordinators.TakeOver(next, attempt, displaces: false), into);
        }

        if (faults.Takeovers > 0)
        {
            var next = into.Add(state, new Step(StepKind.LeaseExpires, attempt));
            next[Layout.Faults] = faults.TakeOver().Value;
            Finish(state, next, coordinators.TakeOver(next, attempt, displaces: true), into);
        }
    }

    /// <summary>A swap is one transaction; the coordinator may or may not live to see how it ended.</summary>
    private void ExpandSwap(ReadOnlySpan<int> state, int attempt, int owner, int effect, Successors into)
    {
        var next = into.Add(state, new Step(StepKind.Swap, attempt, 0, owner, effect));
        bool swapped = Swap(next, attempt, owner, effect);
        bool told = coordinators.Tell(next, attempt, coordinators.ReadRow(next[Layout.Row]));
        Finish(state, next, swapped || told, into);
        if (!swapped) return;
        next = into.Add(state, new Step(StepKind.SwapUnheard, attempt, 0, owner, effect));
        Finish(state, next, Swap(next, attempt, owner, effect), into);
    }

    private void ExpandDisplaced(ReadOnlySpan<int> state, int attempt, Successors into)
    {
        int displaced = state[Layout.At(attempt, Layout.Displaced)];
        if (displaced == 0) return;
        var pending = space.Coordinators.Pending(displaced);
        for (int effect = 0; effect < pending.Count; effect++)
        {
            if (pending[effect] is CoordinatorEffect.Alarm alarm && !space.Surroundings.AppendChecksTerm)
            {
                var late = into.Add(state, new Step(StepKind.DisplacedDeadline, attempt, 0, (int)alarm.Phase));
                Finish(state, late, coordinators.TellDisplaced(late, attempt, coordinators.Deadline(alarm.Phase)), into);
            }

            if (pending[effect] is not CoordinatorEffect.Decide) continue;
            var next = into.Add(state, new Step(StepKind.DisplacedSwap, attempt, 0, displaced, effect));
            bool changed = Swap(next, attempt, displaced, effect);
            changed |= coordinators.TellDisplaced(next, attempt, coordinators.ReadRow(next[Layout.Row]));
            Finish(state, next, changed, into);
        }

        if (space.Surroundings.AppendChecksTerm) return;
        for (int side = 0; side < 2; side++)
        {
            if (state[Layout.At(attempt, Layout.SourceFeed + side)] is not (> 0 and var feed)) continue;
            int heard = space.Sequences[feed][0];
            var next = into.Add(state, new Step(StepKind.DisplacedHears, attempt, side, heard));
            Finish(state, next, coordinators.TellDisplaced(next, attempt, coordinators.Hear(heard)), into);
        }
    }

    /// <summary>What is sent may arrive: what a coordinator sends now, and what it sent in any state before.</summary>
    private void ExpandDeliveries(ReadOnlySpan<int> state, Faults faults, int attempt, Successors into)
    {
        int owner = state[Layout.At(attempt, Layout.Owner)];
        foreach (int message in coordinators.Sends(owner)) ExpandDelivery(state, faults, attempt, message, into);
        foreach (int message in space.Sequences[state[Layout.At(attempt, Layout.InFlight)]])
            ExpandDelivery(state, faults, attempt, message, into);
    }

    private void ExpandDelivery(ReadOnlySpan<int> state, Faults faults, int attempt, int message, Successors into)
    {
        var order = space.Messages[message];
        if (IsCut(state, faults, attempt, order.Side == Side.Source ? 0 : 1)) return;
        var next = into.Add(state, new Step(StepKind.Deliver, attempt, 0, message));
        bool refused = agents.Deliver(next, attempt, message) is not null;
        // Whoever sent it waits for the answer, unless it has been displaced; that the answer is lost changes nothing.
        if (refused && order.Fence.Term == space.Coordinators.States[state[Layout.At(attempt, Layout.Owner)]].Fence.Term)
            coordinators.Tell(next, attempt, coordinators.Refused(message));
        Finish(state, next, true, into);
    }

    private void ExpandAgent(ReadOnlySpan<int> state, Faults faults, int attempt, int side, Successors into)
    {
        if (agents.IsDead(state, attempt, side)) return;
        for (int effect = 0; effect < agents.Pending(state, attempt, side); effect++)
        {
            if (agents.Effect(state, attempt, side, effect) is DestinationEffect.AwaitWord)
            {
                ExpandExpiry(state, attempt, effect, into);
                continue;
            }

            if (agents.IsUnderWay(state, attempt, side, effect)) continue;
            foreach (var chance in Chances(state, faults, attempt, side, effect))
                ExpandEffect(state, faults, attempt, side, effect, chance, into);
        }

        var late = space.Sequences[state[Layout.At(attempt, Layout.SourceLate + side)]];
        for (int i = 0; i < late.Length; i++)
        {
            var next = into.Add(state, new Step(StepKind.LateAnswer, attempt, side, late[i]));
            agents.HearLate(next, attempt, side, i);
            Finish(state, next, true, into);
        }

        var dead = into.Add(state, new Step(StepKind.NoticeDeath, attempt, side));
        Finish(state, dead, agents.NoticeDeath(dead, attempt, side), into);
    }

    private void ExpandExpiry(ReadOnlySpan<int> state, int attempt, int effect, Successors into)
    {
        if (!space.Configuration.Deadlines) return;
        var next = into.Add(state, new Step(StepKind.Expires, attempt, 1, effect));
        agents.Run(next, attempt, 1, agents.Perform(state, attempt, 1, effect, Chance.Works).Command);
        Finish(state, next, true, into);
    }

    private void ExpandEffect(
        ReadOnlySpan<int> state, Faults faults, int attempt, int side, int effect, Chance chance, Successors into)
    {
        var outcome = agents.Perform(state, attempt, side, effect, chance);
        bool costs = chance is Chance.Fails or Chance.FailsAfterwards
            || (chance == Chance.SaysNo && agents.Effect(state, attempt, side, effect) is not SourceEffect.RunIteration);
        var left = costs ? faults.Fail() : faults;
        int what = effect * 4 + (int)chance;
        var next = into.Add(state, new Step(StepKind.Perform, attempt, side, what));
        agents.Act(next, attempt, side, outcome);
        if (outcome.Command != 0) agents.Run(next, attempt, side, outcome.Command);
        next[Layout.Faults] = left.Value;
        Finish(state, next, true, into);

        if (outcome.Command == 0) return;
        if (left.SlowAnswers > 0)
        {
            next = into.Add(state, new Step(StepKind.PerformSlowly, attempt, side, what));
            agents.Act(next, attempt, side, outcome);
            ref int answers = ref next[Layout.At(attempt, Layout.SourceLate + side)];
            answers = space.Sequences.Insert(answers, agents.LateAnswers.Of(
                new LateAnswer(agents.Effect(state, attempt, side, effect).ToString()!, outcome.Command)));
            next[Layout.Faults] = left.Slow().Value;
            Finish(state, next, true, into);
        }

        int host = space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination);
        if (left.Crashes == 0 || chance != Chance.Works || (outcome.Guest == state[Layout.Guest + host] && !outcome.Sent)) return;
        next = into.Add(state, new Step(StepKind.PerformThenDie, attempt, side, what));
        agents.Act(next, attempt, side, outcome);
        agents.Restart(next, host);
        next[Layout.Faults] = left.Crash().Value;
        Finish(state, next, true, into);
    }

    private IEnumerable<Chance> Chances(ReadOnlySpan<int> state, Faults faults, int attempt, int side, int effect)
    {
        var what = agents.Effect(state, attempt, side, effect);
        bool again = what is SourceEffect.RunIteration run && run.Iteration < space.Configuration.Passes;
        bool refuses = what is DestinationEffect.ConfirmSetup && faults.Failures > 0;
        // That a device has moved and does not tell leads nowhere that its refusal does not lead to.
        if (faults.Failures > 0 && agents.IsOnTheWayBack(state, attempt, side, what))
            return [Chance.Works, Chance.SaysNo, Chance.Fails];
        // Isolating acts inside the guest process and is asked for until it is answered.
        if (what is SourceEffect.Isolate or DestinationEffect.Isolate) return [Chance.Works];
        return (again || refuses, faults.Failures > 0) switch
        {
            (true, true) => [Chance.Works, Chance.SaysNo, Chance.Fails, Chance.FailsAfterwards],
            (true, false) => [Chance.Works, Chance.SaysNo],
            (false, true) => [Chance.Works, Chance.Fails, Chance.FailsAfterwards],
            _ => [Chance.Works],
        };
    }

    private void ExpandHosts(ReadOnlySpan<int> state, Faults faults, Successors into)
    {
        for (int host = 0; host < 2; host++)
        {
            if (faults.Dead == host + 1) continue;
            var guest = space.GuestOn(state, host);
            if (faults is { HostDeaths: > 0, Dead: 0 })
            {
                var next = into.Add(state, new Step(StepKind.HostDies, 0, host));
                KillHost(next, faults, host);
                Finish(state, next, true, into);
            }

            if (faults.Crashes > 0)
            {
                var next = into.Add(state, new Step(StepKind.DaemonDies, 0, host));
                agents.Restart(next, host);
                bool changed = !next.SequenceEqual(state);
                next[Layout.Faults] = faults.Crash().Value;
                Finish(state, next, changed, into);
            }

            if (faults.Crashes > 0 && guest is { Alive: true })
            {
                var next = into.Add(state, new Step(StepKind.GuestDies, 0, host));
                next[Layout.Guest + host] = space.Guests.Of(space.Surroundings.Die(guest));
                next[Layout.Faults] = faults.Crash().Value;
                if (!IsCopyLeft(next)) next[Layout.Faults] = faults.Crash().Lose().Value;
                Finish(state, next, true, into);
            }

            if (faults.DeviceDeaths > 0 && guest is { Alive: true, Fence: { Role: GuestRole.Incoming, Permitted: false } })
            {
                var next = into.Add(state, new Step(StepKind.DeviceDies, 0, host));
                next[Layout.Guest + host] = space.Guests.Of(guest.Break(guest.Members.First().Name));
                next[Layout.Faults] = faults.DieInPart().Value;
                if (!IsCopyLeft(next)) next[Layout.Faults] = faults.DieInPart().Lose().Value;
                Finish(state, next, true, into);
            }

            if (space.Configuration.Deadlines && guest is not null && space.Surroundings.DeadlineMayPass(guest))
            {
                var next = into.Add(state, new Step(StepKind.KeepsItself, 0, host));
                next[Layout.Guest + host] = space.Guests.Of(space.Surroundings.KeepItself(guest));
                Finish(state, next, true, into);
            }

            if (faults is { Partitions: > 0, Cut: 0 })
            {
                var next = into.Add(state, new Step(StepKind.CutOff, 0, host));
                next[Layout.Faults] = faults.CutOff(host + 1).Value;
                Finish(state, next, true, into);
            }
        }

        if (faults.Cut == 0) return;
        var mended = into.Add(state, new Step(StepKind.Mend, 0, faults.Cut - 1));
        mended[Layout.Faults] = faults.Mend().Value;
        Finish(state, mended, true, into);
    }

    /// <summary>Processes, sessions and what nobody had heard of the agent's journal: all gone. The fence file is there, and nobody reads it.</summary>
    private void KillHost(Span<int> state, Faults faults, int host)
    {
        if (space.GuestOn(state, host) is { } guest) state[Layout.Guest + host] = space.Guests.Of(guest.Die());
        for (int attempt = 0; attempt < space.Begun(state); attempt++)
            for (int side = 0; side < 2; side++)
            {
                if (space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination) != host) continue;
                state[Layout.At(attempt, Layout.SourceFeed + side)] = 0;
                state[Layout.At(attempt, Layout.SourceLate + side)] = 0;
            }

        var dead = faults.DieWhole(host + 1);
        state[Layout.Faults] = (IsCopyLeft(state) ? dead : dead.Lose()).Value;
    }

    /// <returns>whether the row changed.</returns>
    public bool Swap(Span<int> state, int attempt, int coordinator, int effect)
    {
        int before = state[Layout.Row];
        state[Layout.Row] = coordinators.Swap(before, coordinator, effect);
        if (before == state[Layout.Row]) return false;
        // An abort by one who could not know that only the destination's copy is left is nobody's mistake.
        if (!space.Coordinators.States[coordinator].SourceDied && !IsCopyLeft(state))
            state[Layout.Faults] = new Faults(state[Layout.Faults]).Lose().Value;
        return true;
    }

    private bool IsCopyLeft(ReadOnlySpan<int> state)
    {
        int attempt = space.Begun(state) - 1;
        return CompleteCopies.IsLeft(
            space.Rows[state[Layout.Row]], space.Journal(state, attempt).Plan!.Fence.Epoch,
            space.GuestOn(state, space.HostOf(state, attempt, Side.Source)),
            space.GuestOn(state, space.HostOf(state, attempt, Side.Destination)),
            space.Destinations.States[state[Layout.At(attempt, Layout.Destination)]]);
    }

    private bool IsCut(ReadOnlySpan<int> state, Faults faults, int attempt, int side) =>
        agents.IsDead(state, attempt, side)
        || (faults.Cut != 0 && space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination) == faults.Cut - 1);

    private void Finish(ReadOnlySpan<int> before, Span<int> next, bool changed, Successors into)
    {
        if (changed)
            for (int attempt = 0; attempt < space.Configuration.Attempts && next[Layout.At(attempt, Layout.Journal)] != 0; attempt++)
                coordinators.Prune(next, attempt);
        if (!changed || next.SequenceEqual(before)) into.TakeBack();
    }
}
