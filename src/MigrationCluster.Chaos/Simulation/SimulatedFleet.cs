using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// Two hosts, one guest, one coordinator, driven by a seed: a phase with faults (lost and repeated orders, failing
/// effects, crashing daemons and guest processes, cancels, pause deadlines), then a healed phase that must end every
/// migration. The machines are the product's; the invariants are checked after every step.
/// </summary>
internal sealed class SimulatedFleet
{
    private static readonly GuestName Guest = new("g");

    private readonly Build _build;
    private readonly Random _random;

    /// <summary>Drawn once a seed: where faults are frequent few attempts get far, and late defects need one that does.</summary>
    private readonly int _faultsPerMille;
    private readonly SimulatedAgent[] _agents;
    private readonly int[] _cursors = [0, 0];
    private readonly Dictionary<MigrationId, CoordinatorState> _migrations = [];
    private readonly List<string> _story = [];
    private GuestRow _row;
    private ulong _term = 1;
    private bool _faults = true;
    private bool _destroyed;

    /// <param name="build">the product's machines, or the same with a planted bug.</param>
    public SimulatedFleet(int seed, Build? build = null)
    {
        _build = build ?? Build.Product;
        _random = new Random(seed);
        _faultsPerMille = _random.Next(3) switch { 0 => 4, 1 => 12, _ => 40 };
        var complete = new HashSet<MigrationId>();
        _agents = [.. new[] { "a", "b" }.Select(name =>
            new SimulatedAgent(new HostName(name), _random, _build) { CompleteStreams = complete })];
        (_agents[0].Peer, _agents[1].Peer) = (_agents[1], _agents[0]);
        _row = GuestRow.Start(Guest, _agents[0].Host, new Epoch(1));
        var owner = new FenceRecord(Guest, new Fence(new Epoch(1), new Term(1)), GuestRole.Owner);
        _agents[0].Guest = ModelGuest.Launch(_agents[0].Host, owner, GuestShape.PairAndLoner);
    }

    public IReadOnlyList<string> Story => _story;

    public int Steps { get; private set; }

    public IEnumerable<MigrationPhase> Outcomes => _migrations.Values.Select(state => state.Phase);

    /// <returns>the first violation, or null.</returns>
    public Violation? Run(int faultySteps = 400, int healedSteps = 4000)
    {
        var before = Observe();
        for (int step = 0; step < faultySteps + healedSteps; step++)
        {
            _faults = step < faultySteps;
            if (!_faults && _migrations.Values.All(state => state.Ended)) break;
            Steps++;
            Step();
            var now = Observe();
            var violation = OwnershipInvariants.Check(now).Concat(OwnershipInvariants.CheckStep(before, now))
                .Concat(CheckGroups()).Concat(CheckTransfers()).FirstOrDefault();
            if (violation is not null) return violation;
            before = now;
        }

        foreach (var (id, state) in _migrations)
            if (!state.Ended)
                return new Violation("EveryMigrationTerminates", $"{id} is still {state.Phase} after healing");
        return _destroyed ? null : OwnershipInvariants.CheckHealed(Observe()).FirstOrDefault();
    }

    private void Step()
    {
        int dice = _random.Next(1000);
        if (_faults && dice < _faultsPerMille) Fault(_random.Next(6));
        else if (_faults && dice < _faultsPerMille + 20) Begin();
        else if (dice < 350) Deliver(_random.Next(2));
        else if (dice < 650) Order();
        else Perform(_random.Next(2));
    }

    private void Begin()
    {
        if (_migrations.Values.Any(state => !state.Ended)) return;
        var id = new MigrationId($"m{_migrations.Count + 1}");
        var (source, destination) = _row.Owner == _agents[0].Host ? (0, 1) : (1, 0);
        // Planning refuses a guest that is lost.
        if (_agents[source].Guest is not { Alive: true }) return;
        if (_row.Open(id, _agents[destination].Host) is not { } row) return;
        _row = row;
        _migrations[id] = CoordinatorState.New;
        Tell(id, new CoordinatorCommand.Begin(new MigrationPlan(id, Guest, _agents[source].Host,
            _agents[destination].Host, new Fence(row.Epoch, new Term(_term)), "{}", TimeSpan.FromSeconds(1)), default));
    }

    private void Fault(int kind)
    {
        var agent = _agents[_random.Next(2)];
        switch (kind)
        {
            case 0:
                Say($"daemon {agent.Host} crashes");
                agent.Crash();
                break;
            case 1 when agent.Guest is { Alive: true } guest && _random.Next(4) == 0:
                Say($"guest process on {agent.Host} dies");
                // Whoever held the only complete copy is gone with it: nobody can own the guest any more.
                agent.Guest = _build.Surroundings.Die(guest);
                agent.NoticeDeath();
                _destroyed = true;
                break;
            case 2:
                Say("the coordinator restarts");
                _term++;
                foreach (var id in _migrations.Keys.ToList())
                    Tell(id, new CoordinatorCommand.TakeOver(new Term(_term), default));
                break;
            case 3 when _migrations.Count > 0:
                Say("cancel");
                Tell(_migrations.Keys.Last(), new CoordinatorCommand.Cancel(default));
                break;
            case 4 when agent.Guest is { } paused && _build.Surroundings.DeadlineMayPass(paused):
                Say($"the pause deadline passes on {agent.Host}");
                agent.Guest = _build.Surroundings.KeepItself(paused);
                break;
            case 5 when _migrations.Count > 0:
                var (migration, state) = _migrations.Last();
                Say($"deadline of {state.Phase}");
                Tell(migration, new CoordinatorCommand.DeadlinePassed(state.Phase, default));
                break;
        }
    }

    /// <summary>The coordinator reads on in an agent's feed; a crash may make it read an event again.</summary>
    private void Deliver(int host)
    {
        var feed = _agents[host].Feed;
        if (_cursors[host] == feed.Count) return;
        var (_, e) = feed[_cursors[host]];
        if (!_faults || _random.Next(10) != 0) _cursors[host]++;
        if (_migrations.ContainsKey(e.Migration)) Tell(e.Migration, new CoordinatorCommand.Hear(e, default));
    }

    private void Order()
    {
        var effects = _migrations.SelectMany(pair =>
            _build.Coordinator.Pending(pair.Value).Select(effect => (pair.Key, effect))).ToList();
        if (effects.Count == 0) return;
        var (id, chosen) = effects[_random.Next(effects.Count)];
        switch (chosen)
        {
            case CoordinatorEffect.Send send:
                if (_faults && _random.Next(8) == 0) return;
                var state = _migrations[id];
                var host = send.Command.Side == Side.Source ? state.Plan!.Source : state.Plan!.Destination;
                Say($"{send.Command.GetType().Name} {send.Command.Fence} to {host}");
                if (_agents.Single(agent => agent.Host == host).Order(send.Command) is { } refusal)
                {
                    Say($"  refused: {refusal}");
                    if (!(_faults && _random.Next(8) == 0))
                        Tell(id, new CoordinatorCommand.CommandRefused(send.Command, "refused", refusal, default));
                }
                break;
            case CoordinatorEffect.Decide decide:
                var plan = _migrations[id].Plan!;
                var swapped = decide switch
                {
                    { Decision: OwnershipDecision.Committed } => _row.Commit(id, plan.Fence.Epoch),
                    { OnProof: true } => _row.AbortOnProof(id, plan.Fence.Epoch, plan.Source),
                    _ => _row.Abort(id, plan.Fence.Epoch),
                };
                if (swapped is not null) Say($"row: {swapped.Decision} {swapped.Epoch}");
                _row = swapped ?? _row;
                if (!(_faults && _random.Next(8) == 0)) Tell(id, new CoordinatorCommand.RowRead(_row, default));
                break;
        }
    }

    private void Perform(int host)
    {
        var pending = _agents[host].Pending();
        if (pending.Count == 0) return;
        var (id, effect) = pending[_random.Next(pending.Count)];
        var chance = _faults && _random.Next(60) == 0
            ? _random.Next(2) == 0 ? Chance.Fails : Chance.FailsAfterwards
            : _agents[host].Mood(effect);
        Say($"{_agents[host].Host} performs {effect}{(chance == Chance.Works ? "" : $" ({chance})")}");
        _agents[host].Perform(id, effect, chance);
    }

    private void Tell(MigrationId id, CoordinatorCommand command)
    {
        if (_build.Coordinator.Decide(_migrations[id], command) is not Accepted<CoordinatorEvent> accepted) return;
        foreach (var e in accepted.Events)
        {
            if (e is CoordinatorEvent.PhaseEntered entered) Say($"{id}: {entered.Phase}");
            _migrations[id] = _build.Coordinator.Evolve(_migrations[id], e);
        }
    }

    private GuestObservation Observe() => new(
        _row, [.. _agents.Where(agent => agent.Guest is not null).Select(agent => agent.Guest!.Observe())]);

    private IEnumerable<Violation> CheckGroups() =>
        _agents.Select(agent => agent.Guest).OfType<ModelGuest>().SelectMany(guest => GroupInvariants.Check(
            [.. guest.Members], guest.Fence.Role == GuestRole.Incoming));

    private IEnumerable<Violation> CheckTransfers()
    {
        if (_migrations.Count == 0) return [];
        var (id, state) = _migrations.Last();
        var (source, destination) = state.Plan!.Source == _agents[0].Host ? (_agents[0], _agents[1]) : (_agents[1], _agents[0]);
        return Transfers.Check(source.Guest, destination.Guest, destination.Destination(id));
    }

    private void Say(string line) => _story.Add($"{Steps,5}  {line}");
}
