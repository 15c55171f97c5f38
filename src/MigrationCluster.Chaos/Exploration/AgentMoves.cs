using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>What one effect came to.</summary>
/// <param name="Command">what it ended in; 0: it goes on waiting.</param>
internal readonly record struct Outcome(int Guest, int Command, bool Sent);

/// <summary>An effect that acted and whose end the agent has not heard of.</summary>
internal sealed record LateAnswer(string Effect, int Command);

/// <summary>What the agents of the two hosts do, with their guest processes. Each method changes a state in place.</summary>
internal sealed class AgentMoves(Space space)
{
    private readonly SourceHands _sourceHands = new(space.Surroundings);
    private readonly DestinationHands _destinationHands = new(space.Surroundings, space.Configuration.Shape);
    private readonly Dictionary<int, int> _news = [];
    private readonly Dictionary<(int Side, int Message), int> _orders = [];
    private readonly Dictionary<(int, int, int, int, int), Outcome> _performed = [];

    public Interner<LateAnswer> LateAnswers { get; } = new();

    /// <returns>null: accepted, though perhaps old news.</returns>
    public string? Deliver(Span<int> state, int attempt, int message)
    {
        int side = space.Messages[message].Side == Side.Source ? 0 : 1;
        if (!_orders.TryGetValue((side, message), out int command))
            _orders[(side, message)] = command = side == 0
                ? space.Sources.Commands.Of(new SourceCommand.Order(space.Messages[message], default))
                : space.Destinations.Commands.Of(new DestinationCommand.Order(space.Messages[message], default));
        return Run(state, attempt, side, command);
    }

    /// <summary>Whether a side's host is dead for good.</summary>
    public bool IsDead(ReadOnlySpan<int> state, int attempt, int side) =>
        new Faults(state[Layout.Faults]).Dead is > 0 and var dead
        && space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination) == dead - 1;

    /// <summary>How many effects a session waits for.</summary>
    public int Pending(ReadOnlySpan<int> state, int attempt, int side)
    {
        int session = state[Layout.At(attempt, Layout.Source + side)];
        return session == 0 ? 0 : side == 0 ? space.Sources.Pending(session).Count : space.Destinations.Pending(session).Count;
    }

    public object Effect(ReadOnlySpan<int> state, int attempt, int side, int effect)
    {
        int session = state[Layout.At(attempt, Layout.Source + side)];
        return side == 0 ? space.Sources.Pending(session)[effect] : space.Destinations.Pending(session)[effect];
    }

    /// <summary>Whether an effect has a device run again, where a device that does not is left behind.</summary>
    public bool IsOnTheWayBack(ReadOnlySpan<int> state, int attempt, int side, object effect)
    {
        int session = state[Layout.At(attempt, Layout.Source + side)];
        return effect switch
        {
            SourceEffect.MoveDevice move => move.Device != DeviceName.Machine
                && space.Sources.States[session].Phase == SourcePhase.Keeping,
            DestinationEffect.MoveDevice move => move.Device != DeviceName.Machine
                && space.Destinations.States[session].Phase == DestinationPhase.Resuming,
            _ => false,
        };
    }

    /// <summary>An effect never runs twice at a time: one whose answer is still to come is not started again.</summary>
    public bool IsUnderWay(ReadOnlySpan<int> state, int attempt, int side, int effect)
    {
        int late = state[Layout.At(attempt, Layout.SourceLate + side)];
        if (late == 0) return false;
        string name = Effect(state, attempt, side, effect).ToString()!;
        foreach (int answer in space.Sequences[late])
            if (LateAnswers[answer].Effect == name)
                return true;
        return false;
    }

    /// <summary>The agent hears of one of its slow answers.</summary>
    public void HearLate(Span<int> state, int attempt, int side, int index)
    {
        ref int late = ref state[Layout.At(attempt, Layout.SourceLate + side)];
        int command = LateAnswers[space.Sequences[late][index]].Command;
        late = space.Sequences.RemoveAt(late, index);
        Run(state, attempt, side, command);
    }

    /// <summary>What an effect would come to; nothing is changed yet.</summary>
    public Outcome Perform(ReadOnlySpan<int> state, int attempt, int side, int effect, Chance chance)
    {
        int session = state[Layout.At(attempt, Layout.Source + side)];
        int host = space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination);
        int guest = state[Layout.Guest + host];
        int stream = side == 0 ? PeerReceives(state, attempt) ? 1 : 0 : (int)Stream(state, attempt);
        var key = (session * 2 + side, guest, effect, (int)chance, stream);
        if (_performed.TryGetValue(key, out var known)) return known;
        if (side == 0)
        {
            var (after, result, sent) = _sourceHands.Perform(space.Sources.States[session], space.Guests[guest],
                space.Sources.Pending(session)[effect], chance, stream == 1);
            return _performed[key] = new Outcome(space.Guests.Of(after), space.Sources.Commands.Of(result), sent);
        }

        var outcome = _destinationHands.Perform(Space.Hosts[host], space.Destinations.States[session], space.Guests[guest],
            space.Destinations.Pending(session)[effect], chance, (Incoming)stream);
        return _performed[key] = new Outcome(space.Guests.Of(outcome.Guest), space.Destinations.Commands.Of(outcome.Result), false);
    }

    /// <summary>The guest process, and what the other side has received, as an effect leaves them.</summary>
    public void Act(Span<int> state, int attempt, int side, Outcome outcome)
    {
        state[Layout.Guest + space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination)] = outcome.Guest;
        if (outcome.Sent) state[Layout.At(attempt, Layout.Complete)] = 1;
    }

    /// <summary>A session is told; what it makes of it is journaled, and the coordinator can read it.</summary>
    public string? Run(Span<int> state, int attempt, int side, int command)
    {
        ref int session = ref state[Layout.At(attempt, Layout.Source + side)];
        var turn = side == 0 ? space.Sources.Step(session, command) : space.Destinations.Step(session, command);
        session = turn.State;
        if (space.Journal(state, attempt).Ended) return turn.Refusal;
        foreach (int made in turn.Events)
        {
            if (News(made) is not (> 0 and var news)) continue;
            ref int feed = ref state[Layout.At(attempt, Layout.SourceFeed + side)];
            feed = space.Sequences.Append(feed, news);
        }

        return turn.Refusal;
    }

    /// <summary>A daemon dies and comes back: its sessions are rebuilt from its journal and told so.</summary>
    public void Restart(Span<int> state, int host)
    {
        bool open = false;
        for (int attempt = 0; attempt < space.Begun(state); attempt++)
            for (int side = 0; side < 2; side++)
            {
                if (space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination) != host) continue;
                int session = state[Layout.At(attempt, Layout.Source + side)];
                open |= side == 0 ? !SessionEnds.HasEnded(space.Sources.States[session])
                    : !SessionEnds.HasEnded(space.Destinations.States[session]);
                state[Layout.At(attempt, Layout.SourceLate + side)] = 0;
                // What had arrived in whole and was not journaled as such has to be agreed upon again.
                if (side == 1 && space.Destinations.States[session].Phase == DestinationPhase.Receiving)
                    state[Layout.At(attempt, Layout.Complete)] = 0;
                Run(state, attempt, side, side == 0
                    ? space.Sources.Commands.Of(new SourceCommand.Restarted(default))
                    : space.Destinations.Commands.Of(new DestinationCommand.Restarted(default)));
            }

        if (space.GuestOn(state, host) is { Alive: true } guest)
            state[Layout.Guest + host] = space.Guests.Of(space.Surroundings.Adopt(guest, open));
    }

    /// <summary>A session learns that its guest process is dead.</summary>
    /// <returns>false: it is not, or the session does not care.</returns>
    public bool NoticeDeath(Span<int> state, int attempt, int side)
    {
        int session = state[Layout.At(attempt, Layout.Source + side)];
        int host = space.HostOf(state, attempt, side == 0 ? Side.Source : Side.Destination);
        int guest = state[Layout.Guest + host];
        if (guest != 0 && space.Guests[guest].Alive) return side == 1 && NoticeDevice(state, attempt, space.Guests[guest]);
        if (side == 0)
        {
            var phase = space.Sources.States[session].Phase;
            if (phase is SourcePhase.New or SourcePhase.Kept or SourcePhase.Releasing or SourcePhase.Released or SourcePhase.Died)
                return false;
            var (after, result, _) = SourceHands.Died(space.Guests[guest]);
            state[Layout.Guest + host] = space.Guests.Of(after);
            Run(state, attempt, side, space.Sources.Commands.Of(result));
            return true;
        }

        // Before the launch has been answered nobody watches.
        var destination = space.Destinations.States[session];
        if (destination.Phase <= DestinationPhase.Preparing || SessionEnds.HasEnded(destination)) return false;
        Run(state, attempt, side, space.Destinations.Commands.Of(
            new DestinationCommand.GuestDied("the guest process died", default)));
        return state[Layout.At(attempt, Layout.Destination)] != session;
    }

    /// <summary>A device server died under an incoming guest process that lives; once it may run nobody looks.</summary>
    private bool NoticeDevice(Span<int> state, int attempt, ModelGuest guest)
    {
        int session = state[Layout.At(attempt, Layout.Destination)];
        if (guest.DeadDevice is not { } dead || space.Destinations.States[session].Phase <= DestinationPhase.Preparing) return false;
        Run(state, attempt, 1, space.Destinations.Commands.Of(new DestinationCommand.DeviceDied(dead, "died", default)));
        return state[Layout.At(attempt, Layout.Destination)] != session;
    }

    private bool PeerReceives(ReadOnlySpan<int> state, int attempt) =>
        new Faults(state[Layout.Faults]).Cut == 0
        && TransferTo.Reaches(
            space.Sources.States[state[Layout.At(attempt, Layout.Source)]],
            space.Destinations.States[state[Layout.At(attempt, Layout.Destination)]])
        && space.GuestOn(state, space.HostOf(state, attempt, Side.Destination)) is { Alive: true };

    private Incoming Stream(ReadOnlySpan<int> state, int attempt) =>
        state[Layout.At(attempt, Layout.Complete)] == 1 ? Incoming.Complete
        : space.GuestOn(state, space.HostOf(state, attempt, Side.Source)) is { Alive: true } ? Incoming.Open
        : Incoming.Broken;

    /// <summary>The coordinator passes most of a feed over; only what it may act on is worth a place in a state.</summary>
    private int News(int agentEvent)
    {
        if (_news.TryGetValue(agentEvent, out int known)) return known;
        var news = space.AgentEvents[agentEvent] switch
        {
            SourceFailed failed => failed with { Code = "failed", Reason = "failed" },
            DestinationFailed failed => failed with { Code = "failed", Reason = "failed" },
            SourceGuestDied died => died with { Reason = "died" },
            MayHaveRun may => may with { Reason = "may have run" },
            var e when IsPassedOver(e) => null,
            var e => e,
        };
        return _news[agentEvent] = space.AgentEvents.Of(news);
    }

    /// <summary>No state of a coordinator changes by these; a test holds every state against it.</summary>
    public static bool IsPassedOver(AgentEvent e) => e is FenceRaised or SourceOpened or PreCopyStarted or DeviceStateReached
        or TransferOpened or TransferLost or TransferClosed or TransferRedirected or IterationFinished or SwitchOverStarted or MachinePaused or DevicesStopped or YieldRequested
        or KeepRequested or KeepVoted or ReleaseRequested or DestinationOpened or SetupCheckRequested or SetupConfirmed
        or StreamComplete or RunRequested or PermitTaken or DiscardRequested or ProofRequested;
}
