using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Migration;

/// <summary>Drives one machine by commands; what a test reads is the story of its events.</summary>
internal sealed class Story<TState, TCommand, TEvent, TEffect>(
    IStateMachine<TState, TCommand, TEvent, TEffect> machine, TState initial)
    where TEvent : notnull
{
    public TState State { get; private set; } = initial;

    public List<TEvent> Events { get; } = [];

    /// <summary>What it works at.</summary>
    public IReadOnlyList<TEffect> Pending => [.. machine.Pending(State).Where(effect => effect is not DestinationEffect.AwaitWord)];

    /// <summary>It gives up if nobody is heard of.</summary>
    public bool MayExpire => machine.Pending(State).Any(effect => effect is DestinationEffect.AwaitWord);

    /// <returns>null, or the refusal's code.</returns>
    public string? Tell(TCommand command)
    {
        var decision = machine.Decide(State, command);
        if (decision is Refused<TEvent> refused) return refused.Code;
        foreach (var e in ((Accepted<TEvent>)decision).Events)
        {
            Events.Add(e);
            State = machine.Evolve(State, e);
        }
        return null;
    }
}

internal static class Stories
{
    public const MigrationCapabilities All =
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    public static readonly MigrationId Id = new("m-1");
    public static readonly GuestName Guest = new("g");
    public static readonly Fence At = new(new Epoch(2), new Term(1));
    public static readonly Fence Raised = new(new Epoch(3), new Term(1));

    public static PlannedDevice Device(
        string name, MigrationCapabilities capabilities, int group, DeviceState state = DeviceState.Running) =>
        new(new DeviceName(name), capabilities, group, state);

    public static IReadOnlyList<PlannedDevice> Devices(DeviceState machine) =>
    [
        Device("net0", All, 0), Device("gpu0", All, 0), Device("serial0", MigrationCapabilities.StopCopy, 1),
        Device("machine", MigrationCapabilities.StopCopy, -1, machine),
    ];

    public static Story<SourceState, SourceCommand, AgentEvent, SourceEffect> Source() =>
        new(new SourceMachine(), SourceState.New);

    public static Story<DestinationState, DestinationCommand, AgentEvent, DestinationEffect> Destination() =>
        new(new DestinationMachine(), DestinationState.New);

    /// <summary>Answers every pending move as a device would.</summary>
    public static void MoveAll(this Story<SourceState, SourceCommand, AgentEvent, SourceEffect> story)
    {
        foreach (var effect in story.Pending)
            story.Tell(effect switch
            {
                SourceEffect.MoveDevice move => new SourceCommand.DeviceArrived(move.Device, move.Target, default),
                SourceEffect.Isolate isolate => new SourceCommand.DeviceIsolated(isolate.Device, default),
                SourceEffect.PauseMachine => new SourceCommand.DeviceArrived(DeviceName.Machine, DeviceState.Stop, default),
                _ => throw new InvalidOperationException($"{effect} is no move"),
            });
    }

    public static void MoveAll(this Story<DestinationState, DestinationCommand, AgentEvent, DestinationEffect> story)
    {
        foreach (var effect in story.Pending)
            story.Tell(effect switch
            {
                DestinationEffect.MoveDevice move => new DestinationCommand.DeviceArrived(move.Device, move.Target, default),
                DestinationEffect.Isolate isolate => new DestinationCommand.DeviceIsolated(isolate.Device, default),
                _ => throw new InvalidOperationException($"{effect} is no move"),
            });
    }

    public static IReadOnlyList<SetupRecord> NoRecords { get; } = [];
}
