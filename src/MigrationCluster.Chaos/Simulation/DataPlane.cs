using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>The transfers of a fleet: each ends at one life of the destination's daemon. A connection that is gone is waited for, for a while.</summary>
internal sealed class DataPlane(GuestProcesses guests, Weather weather)
{
    /// <summary>How long the destination waits for a source that has been there, or that is told where it is now: the product's default.</summary>
    private static readonly TimeSpan ReconnectLimit = TimeSpan.FromSeconds(60);

    private readonly Dictionary<MigrationId, Receiver> _receivers = [];

    public void Open(MigrationId migration, Receiver receiver) => _receivers[migration] = receiver;

    /// <summary>Whether what the source sends now arrives.</summary>
    public bool Receives(SourceState source, HostName host) =>
        _receivers.GetValueOrDefault(source.Migration) is { Process: { IsAlive: true, IsStopped: false } } receiver
        && !weather.IsCut(host.Value, receiver.Host.Value) && !weather.IsCut(receiver.Host.Value, host.Value)
        && guests.Find(receiver.Host, receiver.Guest) is { Alive: true }
        && TransferTo.Reaches(source, receiver.State());

    public void Connect(MigrationId migration, HostName source, SimulatedProcess sender)
    {
        if (_receivers.TryGetValue(migration, out var receiver))
            (receiver.Source, receiver.Sender, receiver.Expects) = (source, sender, true);
    }

    public void Break(MigrationId migration)
    {
        if (_receivers.TryGetValue(migration, out var receiver)) receiver.Sender = null;
    }

    public void Complete(MigrationId migration)
    {
        if (_receivers.TryGetValue(migration, out var receiver)) receiver.IsComplete = true;
    }

    /// <summary>Whether the source is connected to this life of the destination's daemon.</summary>
    public bool IsLinked(MigrationId migration, SimulatedProcess owner) =>
        _receivers.GetValueOrDefault(migration) is { } receiver && receiver.Process == owner && IsLinked(receiver);

    private bool IsLinked(Receiver receiver) => receiver is { Sender.IsAlive: true, Source: { } source }
        && !weather.IsCut(source.Value, receiver.Host.Value) && guests.Find(source, receiver.Guest) is { Alive: true };

    /// <param name="owner">the life of the daemon that asks; what an earlier one had opened is gone.</param>
    public Incoming Look(MigrationId migration, SimulatedProcess owner)
    {
        if (_receivers.GetValueOrDefault(migration) is not { } receiver || receiver.Process != owner) return Incoming.Broken;
        if (receiver.IsComplete) return Incoming.Complete;
        if (IsLinked(receiver) || !receiver.Expects)
        {
            receiver.LostAt = null;
            return Incoming.Open;
        }

        receiver.LostAt ??= owner.Clock.GetTimestamp();
        return owner.Clock.GetElapsedTime(receiver.LostAt.Value) >= ReconnectLimit ? Incoming.Broken : Incoming.Open;
    }
}

/// <summary>The destination's end of a transfer.</summary>
internal sealed record Receiver(HostName Host, GuestName Guest, SimulatedProcess Process, Func<DestinationState> State)
{
    public HostName? Source { get; set; }

    /// <summary>The life of the source's daemon that is connected; null: none is.</summary>
    public SimulatedProcess? Sender { get; set; }

    /// <summary>A source has been here, or was told to come: it is not waited for for ever.</summary>
    public bool Expects { get; set; }

    /// <summary>Since when the one expected is not here, by the process's clock.</summary>
    public long? LostAt { get; set; }

    public bool IsComplete { get; set; }
}
