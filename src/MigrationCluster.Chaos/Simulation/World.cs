using System.Collections.Immutable;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>What the daemons of one run share: the time, the weather, the store, the guest processes, and who watches.</summary>
internal sealed class World
{
    private readonly Dictionary<HostName, SimulatedHost> _hosts = [];
    private int _ids;

    public World(int seed, Build build, bool shuffled, ImmutableArray<PlannedDevice> shape, Trace trace)
    {
        (Build, Shape) = (build, shape);
        var random = new Random(seed);
        Weather = new Weather(random);
        Time = new VirtualTime(shuffled ? random : null, trace);
        Observer = new Observer(Time, build, trace);
        Store = new SimulatedStore(Observer);
        Guests = new GuestProcesses(Time, build.Surroundings, Observer);
        Transfers = new DataPlane(Guests, Weather);
        Observer.Watch(Guests);
    }

    public Build Build { get; }

    public ImmutableArray<PlannedDevice> Shape { get; }

    public VirtualTime Time { get; }

    public Weather Weather { get; }

    public Observer Observer { get; }

    public SimulatedStore Store { get; }

    public GuestProcesses Guests { get; }

    public DataPlane Transfers { get; }

    public void Add(SimulatedHost host) => _hosts[host.Name] = host;

    public SimulatedHost HostOf(HostName name) => _hosts[name];

    public MigrationId NewId() => new($"m-{++_ids}");

    /// <summary>A guest process dies with its device servers; whether a complete copy is left is looked at now.</summary>
    public void Die(ModelGuest guest)
    {
        Guests.Set(guest.Fence.Guest, Build.Surroundings.Die(guest));
        Observer.OnDeath(guest.Fence.Guest);
    }

    /// <summary>A device dies alone; with it, on a destination that has no permit yet, the copy is no longer complete.</summary>
    public void Break(ModelGuest guest, DeviceName device)
    {
        Guests.Set(guest.Fence.Guest, guest.Break(device));
        Observer.OnDeath(guest.Fence.Guest);
    }
}
