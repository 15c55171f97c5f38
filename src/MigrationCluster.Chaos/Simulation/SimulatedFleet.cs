using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>
/// A fleet of hosts, coordinators and guests, of one seed: the product's shell and machines on virtual time, over simulated networks,
/// disks, stores and guest processes. A phase in which its incidents happen, then a healed one that must end every migration.
/// </summary>
internal sealed class SimulatedFleet
{
    private const string Spec = """{"name":"g","memoryMiB":64,"vcpus":{"count":1,"pattern":"hotset","dirtyRateMiBps":1},"devices":[]}""";
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(500);

    /// <summary>How long a healed fleet may take to end everything: the longest deadline of a phase, and then a rollback.</summary>
    private static readonly TimeSpan HealingLimit = TimeSpan.FromSeconds(150);

    /// <summary>A guest that nobody commands keeps itself within its pause deadline.</summary>
    private static readonly TimeSpan Settling = CoordinatorMachine.PauseDeadline + TimeSpan.FromSeconds(2);

    private readonly Plan _plan;
    private readonly World _world;
    private readonly Trace _trace;
    private readonly List<SimulatedHost> _hosts = [];
    private readonly List<SimulatedCoordinator> _coordinators = [];

    /// <param name="build">the product's machines, or the same with a planted bug.</param>
    /// <param name="only">the incidents that happen; null: all of the seed's.</param>
    public SimulatedFleet(int seed, Build? build = null, Plan? plan = null, IReadOnlyList<Incident>? only = null, bool tells = false)
    {
        _plan = plan ?? Plan.Of(seed);
        _trace = new Trace(tells);
        _world = new World(seed, build ?? Build.Product, _plan.Shuffled, _plan.Shape, _trace);
        for (int i = 1; i <= _plan.Hosts; i++) Add(new SimulatedHost(new HostName($"h{i}"), _world));
        for (int i = 1; i <= _plan.Coordinators; i++) _coordinators.Add(new SimulatedCoordinator($"c{i}", _world));
        for (int i = 0; i < _plan.Guests; i++) Place(Guest(i), _hosts[i % _hosts.Count].Name);
        foreach (var incident in only ?? _plan.Incidents) Schedule(incident);
    }

    public Weather Weather => _world.Weather;

    public TimeSpan Elapsed => TimeSpan.FromTicks(_world.Time.Now);

    public long Events => _world.Time.Events;

    public ulong Hash => _trace.Hash;

    public IEnumerable<string> Story => _trace.Story;

    public IEnumerable<MigrationPhase> Outcomes => _world.Observer.Phases.Values;

    /// <summary>Guests whose last complete copy a fault took.</summary>
    public int Lost => _world.Observer.Lost;

    /// <returns>the first violation, or null.</returns>
    public Violation? Run()
    {
        var context = SynchronizationContext.Current;
        try
        {
            foreach (var host in _hosts) host.Start();
            foreach (var coordinator in _coordinators) coordinator.Start();
            if (!RunUntil(_plan.Faulty)) return Broken();
            Heal();
            var limit = _plan.Faulty + HealingLimit;
            for (var until = _plan.Faulty; _world.Store.Open.Any();)
            {
                if (until >= limit) return new Violation("EveryMigrationTerminates", Unfinished());
                if (!RunUntil(until += BetweenLooks)) return Broken();
            }

            if (Forgotten() is { Count: > 0 } forgotten)
                return new Violation("EveryMigrationTerminates", $"the store says that {string.Join(", ", forgotten)} has ended, its journal does not");
            if (!RunUntil(Elapsed + Settling)) return Broken();
            _world.Observer.CheckHealed();
            return _world.Observer.Violation;
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(context);
        }
    }

    public SimulatedHost Host(int index) => _hosts[index];

    public SimulatedCoordinator Coordinator(int index) => _coordinators[index];

    /// <param name="by">how many hosts further on.</param>
    public void Migrate(int guest, int by, int coordinator)
    {
        if (_world.Store.Read(Guest(guest)) is not { } record) return;
        int home = _hosts.FindIndex(host => host.Name == record.Row.Owner);
        _coordinators[coordinator].Migrate(Guest(guest), _hosts[(home + by) % _hosts.Count].Name);
    }

    public void Cancel(int guest)
    {
        if (_world.Store.Read(Guest(guest))?.Row.Attempt is not { } attempt) return;
        foreach (var coordinator in _coordinators) coordinator.Cancel(attempt);
    }

    public void LimitBandwidth(int guest, long? maxBytesPerSecond)
    {
        if (_world.Store.Read(Guest(guest))?.Row.Attempt is not { } attempt) return;
        foreach (var coordinator in _coordinators) coordinator.LimitBandwidth(attempt, maxBytesPerSecond);
    }

    public void Cut(string one, string other, bool cut)
    {
        Weather.Cut(one, other, cut);
        Weather.Cut(other, one, cut);
    }

    public void CutOff(string host, bool cut)
    {
        foreach (string other in _hosts.Select(other => other.Name.Value).Concat(_coordinators.Select(other => other.Name)))
            if (other != host)
                Cut(host, other, cut);
    }

    public void StoreDown(bool down) => Weather.StoreDown = down;

    public void CutStorePower()
    {
        StoreDown(true);
        _world.Observer.Say($"  {_world.Store.CutPower(Weather.Random)} transactions are gone");
        // The embedded store shares its host with its one coordinator.
        if (_coordinators is [var only]) only.Revive();
    }

    public void CutPower(int host) => _world.Observer.Say($"  {_hosts[host].CutPower()} events of its journal are gone");

    public void Die(int host, int guest)
    {
        if (_world.Guests.Find(_hosts[host].Name, Guest(guest)) is { Alive: true } process) _world.Die(process);
    }

    public void Break(int host, int guest, DeviceName device)
    {
        if (_world.Guests.Find(_hosts[host].Name, Guest(guest)) is { Alive: true } process)
            _world.Break(process, device);
    }

    public void Jump(int host, TimeSpan by)
    {
        _hosts[host].Skew += by;
        if (_hosts[host].Process is { } process) process.Clock.Skew = _hosts[host].Skew;
    }

    public void JumpCoordinator(int coordinator, TimeSpan by)
    {
        _coordinators[coordinator].Skew += by;
        if (_coordinators[coordinator].Process is { } process) process.Clock.Skew = _coordinators[coordinator].Skew;
    }

    private static GuestName Guest(int index) => new($"g{index + 1}");

    private void Add(SimulatedHost host)
    {
        _hosts.Add(host);
        _world.Add(host);
        _world.Observer.Watch(host.Name);
        _world.Store.Admit(new Member(host.Name, host.Name.Value, $"http://{host.Name}", 1));
    }

    private void Place(GuestName guest, HostName host)
    {
        var row = GuestRow.Start(guest, host, new Epoch(1));
        _world.Store.Swap(null, new GuestRecord(row, Spec, Placement.Placed), knows: false);
        var fence = new FenceRecord(guest, new Fence(row.Epoch, new Term(1)), GuestRole.Owner);
        _world.Guests.Set(guest, ModelGuest.Launch(host, fence, _plan.Shape));
    }

    private void Schedule(Incident incident)
    {
        _world.Time.After(incident.At, () =>
        {
            _world.Observer.Say($"** {incident.Words}");
            incident.Begin(this);
        });
        if (incident.End is not { } end) return;
        var over = incident.At + incident.Lasting;
        _world.Time.After(over < _plan.Faulty ? over : _plan.Faulty, () =>
        {
            _world.Observer.Say($"** no longer: {incident.Words}");
            end(this);
        });
    }

    /// <summary>No fault is left: everybody lives and goes on.</summary>
    private void Heal()
    {
        _world.Observer.Say("** all faults are over");
        StoreDown(false);
        foreach (var host in _hosts)
        {
            host.Process?.Continue();
            host.Start();
        }

        foreach (var coordinator in _coordinators)
        {
            coordinator.Process?.Continue();
            coordinator.Start();
        }
    }

    /// <returns>false: something broke.</returns>
    private bool RunUntil(TimeSpan until)
    {
        while (_world.Time.RunNext(until))
            if (_world.Observer.Violation is not null || _world.Time.IsOver)
                return false;
        return true;
    }

    private Violation Broken() => _world.Observer.Violation ?? new Violation(
        "ShellNeverFails", _world.Time.Leak is { } leak ? $"it went on on another thread: {leak}" : $"{_world.Time.Defect}");

    private List<MigrationId> Forgotten()
    {
        var machine = new CoordinatorMachine();
        return [.. _world.Store.Journaled.Where(id => !_world.Store.Read(id)
            .Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).Aggregate(CoordinatorState.New, machine.Evolve).Ended)];
    }

    private string Unfinished() => string.Join(", ", _world.Store.Open.Select(id =>
        $"{id} is {(_world.Observer.Phases.TryGetValue(id, out var phase) ? phase.ToString() : "not planned")}")) + " after healing";
}
