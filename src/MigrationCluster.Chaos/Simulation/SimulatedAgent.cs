using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>One host's agent: the real source and destination machines over a model guest process. Its journal is the
/// feed; a crash forgets the states, which are rebuilt from it.</summary>
internal sealed class SimulatedAgent(HostName host, Random random, Build build)
{
    private readonly SourceHands _sourceHands = new(build.Surroundings);
    private readonly DestinationHands _destinationHands = new(build.Surroundings, GuestShape.PairAndLoner);
    private Dictionary<MigrationId, SourceState> _sources = [];
    private Dictionary<MigrationId, DestinationState> _destinations = [];

    public HostName Host => host;

    public ModelGuest? Guest { get; set; }

    /// <summary>Durable: what this agent has journaled, in order.</summary>
    public List<(Side Side, AgentEvent Event)> Feed { get; } = [];

    /// <summary>Attempts whose source has sent everything, as the other side's data plane would notice.</summary>
    public required HashSet<MigrationId> CompleteStreams { get; init; }

    /// <summary>The other host, for the data plane.</summary>
    public SimulatedAgent? Peer { get; set; }

    public string? Order(AgentCommand command) => command.Side == Side.Source
        ? Run(command.Migration, new SourceCommand.Order(command, default))
        : Run(command.Migration, new DestinationCommand.Order(command, default));

    public SourceState Source(MigrationId id) => _sources.GetValueOrDefault(id, SourceState.New);

    public DestinationState Destination(MigrationId id) => _destinations.GetValueOrDefault(id, DestinationState.New);

    public List<(MigrationId Migration, object Effect)> Pending() =>
    [
        .. _sources.SelectMany(pair => build.Source.Pending(pair.Value).Select(effect => (pair.Key, (object)effect))),
        .. _destinations.SelectMany(pair => build.Destination.Pending(pair.Value).Select(effect => (pair.Key, (object)effect))),
    ];

    public void Crash()
    {
        // What had arrived in whole and was not journaled as such has to be agreed upon again.
        CompleteStreams.RemoveWhere(id => Destination(id).Phase == DestinationPhase.Receiving);
        var feed = Feed.ToList();
        _sources = [];
        _destinations = [];
        foreach (var (side, e) in feed) Evolve(side, e);
        if (Guest is { Alive: true } guest)
            Guest = build.Surroundings.Adopt(guest,
                _sources.Values.Any(state => !SessionEnds.HasEnded(state))
                || _destinations.Values.Any(state => !SessionEnds.HasEnded(state)));
        foreach (var id in _sources.Keys.ToList()) Run(id, new SourceCommand.Restarted(default));
        foreach (var id in _destinations.Keys.ToList()) Run(id, new DestinationCommand.Restarted(default));
    }

    /// <summary>The guest process died; the agent has looked at its fence file under flock.</summary>
    public void NoticeDeath()
    {
        foreach (var (id, state) in _sources.ToList())
            if (!SessionEnds.HasEnded(state)) Finish(id, SourceHands.Died(Guest));
        foreach (var (id, state) in _destinations.ToList())
            if (!SessionEnds.HasEnded(state)) Run(id, new DestinationCommand.GuestDied("the guest process died", default));
    }

    public void Perform(MigrationId id, object effect, Chance chance)
    {
        if (effect is SourceEffect source)
        {
            Finish(id, _sourceHands.Perform(_sources[id], Guest, source, chance, Peer!.Receives(id, Source(id))));
            return;
        }

        var (after, result) = _destinationHands.Perform(
            host, _destinations[id], Guest, (DestinationEffect)effect, chance,
            CompleteStreams.Contains(id) ? Incoming.Complete : Peer!.Guest is { Alive: true } ? Incoming.Open : Incoming.Broken);
        Guest = after;
        if (result is not null) Run(id, result);
    }

    /// <summary>Something that may well say no by itself, without any fault.</summary>
    public Chance Mood(object effect) => effect switch
    {
        SourceEffect.RunIteration when random.Next(3) == 0 => Chance.SaysNo,
        DestinationEffect.ConfirmSetup when random.Next(20) == 0 => Chance.SaysNo,
        _ => Chance.Works,
    };

    private bool Receives(MigrationId id, SourceState source) =>
        Guest is { Alive: true } && TransferTo.Reaches(source, Destination(id));

    private void Finish(MigrationId id, SourceOutcome outcome)
    {
        Guest = outcome.Guest;
        if (outcome.Sent) CompleteStreams.Add(id);
        Run(id, outcome.Result);
    }

    private string? Run(MigrationId id, SourceCommand command) =>
        Record(Side.Source, build.Source.Decide(Source(id), command));

    private string? Run(MigrationId id, DestinationCommand command) =>
        Record(Side.Destination, build.Destination.Decide(Destination(id), command));

    private string? Record(Side side, Decision<AgentEvent> decision)
    {
        if (decision is Refused<AgentEvent> refused) return $"{refused.Code}: {refused.Reason}";
        foreach (var e in ((Accepted<AgentEvent>)decision).Events)
        {
            Feed.Add((side, e));
            Evolve(side, e);
        }
        return null;
    }

    private void Evolve(Side side, AgentEvent e)
    {
        if (side == Side.Source) _sources[e.Migration] = build.Source.Evolve(Source(e.Migration), e);
        else _destinations[e.Migration] = build.Destination.Evolve(Destination(e.Migration), e);
    }
}
