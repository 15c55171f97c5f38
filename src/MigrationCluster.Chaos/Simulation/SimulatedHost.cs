using MigrationCluster.Api;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>A hypervisor host: its disk, its guest processes, and a daemon that lives again and again.</summary>
internal sealed class SimulatedHost(HostName name, World world)
{
    private readonly SimulatedDisk _disk = new(name, world.Observer);
    private readonly List<Action<string>> _serving = [];
    private SimulatedAgent? _agent;

    public HostName Name => name;

    public SimulatedProcess? Process { get; private set; }

    /// <summary>By which its wall clock is wrong.</summary>
    public TimeSpan Skew { get; set; }

    /// <summary>Its daemon takes requests.</summary>
    public bool Listens { get; private set; }

    public bool IsAlive(GuestName guest) => world.Guests.Find(name, guest) is { Alive: true };

    /// <summary>The daemon starts, finds what its journal and the host hold, and then listens.</summary>
    public void Start()
    {
        if (Process is { IsAlive: true }) return;
        _disk.Open();
        var process = Process = new SimulatedProcess(world.Time, Skew);
        var hands = new SimulatedHands(
            name, process, world.Guests, world.Transfers, world.Weather, world.Build.Surroundings, world.Shape, world.Observer);
        var sessions = new AgentSessions(
            _disk, hands, world.Build.Source, world.Build.Destination, world.Observer, process.Clock);
        _agent = new SimulatedAgent(sessions, new AgentFeed(_disk, sessions, process.Clock));
        foreach (var guest in world.Guests.On(name).Where(guest => guest.Alive))
            world.Guests.Set(guest.Fence.Guest, world.Build.Surroundings.Adopt(guest, HasSession(guest.Fence.Guest)));
        process.Post(async () =>
        {
            await sessions.StartAsync(CancellationToken.None);
            Listens = true;
        });
    }

    /// <summary>kill -9: guests go on, sessions rest in the journal.</summary>
    public void Kill()
    {
        Process?.Kill();
        Listens = false;
        foreach (var broken in _serving.ToList()) broken("the connection was reset");
        _serving.Clear();
    }

    /// <summary>The daemon is asked to end.</summary>
    public void Shutdown()
    {
        if (Process is not { IsAlive: true } process || _agent is not { } agent) return;
        Listens = false;
        process.Post(async () =>
        {
            await agent.Sessions.StopAsync(CancellationToken.None);
            Kill();
        });
    }

    /// <summary>Starts again what was asked to end, whether or not it has.</summary>
    public void Revive()
    {
        Kill();
        Start();
    }

    /// <returns>how many of its journal's events are gone.</returns>
    public int CutPower()
    {
        Kill();
        foreach (var guest in world.Guests.On(name).Where(guest => guest.Alive)) world.Die(guest);
        return _disk.CutPower(world.Weather.Random);
    }

    /// <summary>A request has arrived at this host.</summary>
    /// <param name="broken">hears why no answer comes.</param>
    public void Serve<T>(Func<SimulatedAgent, Task<T>> serve, Action<T> reply, Action<string> broken)
    {
        if (!Listens || Process is not { IsAlive: true } process || _agent is not { } agent)
        {
            broken("connection refused");
            return;
        }

        _serving.Add(broken);
        process.Post(async () =>
        {
            try
            {
                var answer = await serve(agent);
                if (_serving.Remove(broken)) reply(answer);
            }
            catch (Exception error)
            {
                if (_serving.Remove(broken)) broken(error.Message);
            }
        });
    }

    private bool HasSession(GuestName guest) => _disk.ListMigrations().Any(listed =>
    {
        var events = _disk.ReadMigration(listed.Migration, listed.Side).Select(numbered => numbered.Event);
        if (listed.Side == Side.Source)
        {
            var source = events.Aggregate(SourceState.New, world.Build.Source.Evolve);
            return source.Guest == guest && !SessionEnds.HasEnded(source);
        }

        var destination = events.Aggregate(DestinationState.New, world.Build.Destination.Evolve);
        return destination.Guest == guest && !SessionEnds.HasEnded(destination);
    });
}

/// <summary>What one life of a daemon answers requests with.</summary>
internal sealed record SimulatedAgent(AgentSessions Sessions, AgentFeed Feed)
{
    public Task<ApiError?> HandleAsync(AgentCommand command) => Sessions.HandleAsync(command, CancellationToken.None);
}
