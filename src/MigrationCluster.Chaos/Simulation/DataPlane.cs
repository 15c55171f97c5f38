using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>The transfers of a fleet: each ends at one life of the destination's daemon, and is broken for good once something of it broke.</summary>
internal sealed class DataPlane(GuestProcesses guests, Weather weather)
{
    private readonly Dictionary<MigrationId, Receiver> _receivers = [];

    public void Open(MigrationId migration, Receiver receiver) => _receivers[migration] = receiver;

    /// <summary>Whether what the source sends now arrives.</summary>
    public bool Receives(MigrationId migration, HostName source)
    {
        if (_receivers.GetValueOrDefault(migration) is not { IsBroken: false } receiver) return false;
        bool arrives = receiver.Process is { IsAlive: true, IsStopped: false }
            && !weather.IsCut(source.Value, receiver.Host.Value) && !weather.IsCut(receiver.Host.Value, source.Value)
            && guests.Find(receiver.Host, receiver.Guest) is { Alive: true }
            && receiver.State() is { Phase: DestinationPhase.Receiving, Failure: null };
        return arrives;
    }

    public void Connect(MigrationId migration, HostName source, SimulatedProcess sender)
    {
        if (_receivers.TryGetValue(migration, out var receiver)) (receiver.Source, receiver.Sender) = (source, sender);
    }

    public void Break(MigrationId migration)
    {
        if (_receivers.TryGetValue(migration, out var receiver)) receiver.IsBroken = true;
    }

    public void Complete(MigrationId migration)
    {
        if (_receivers.TryGetValue(migration, out var receiver)) receiver.IsComplete = true;
    }

    /// <param name="owner">the life of the daemon that asks; what an earlier one had opened is gone.</param>
    public Incoming Look(MigrationId migration, SimulatedProcess owner)
    {
        if (_receivers.GetValueOrDefault(migration) is not { } receiver || receiver.Process != owner) return Incoming.Broken;
        if (receiver.IsComplete) return Incoming.Complete;
        bool lost = receiver is { Sender: { } sender, Source: { } source } && (!sender.IsAlive
            || weather.IsCut(source.Value, receiver.Host.Value) || guests.Find(source, receiver.Guest) is not { Alive: true });
        return receiver.IsBroken || lost ? Incoming.Broken : Incoming.Open;
    }
}

/// <summary>The destination's end of a transfer.</summary>
internal sealed record Receiver(HostName Host, GuestName Guest, SimulatedProcess Process, Func<DestinationState> State)
{
    public HostName? Source { get; set; }

    /// <summary>The life of the source's daemon that has connected; null: none has.</summary>
    public SimulatedProcess? Sender { get; set; }

    public bool IsBroken { get; set; }

    public bool IsComplete { get; set; }
}
