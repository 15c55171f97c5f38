using System.Diagnostics.CodeAnalysis;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Node.Hosting;

/// <summary>Every failpoint of a node and of the guest processes it launches: one before and one after each durable step of the machines,
/// of the guests' rows and of the fence files, and one after each effect. Named after the machines' own events and effects.</summary>
public static class FailpointNames
{
    /// <summary>The environment variable by which a daemon arms its own.</summary>
    public const string Variable = "MC_FAILPOINTS";

    public static IReadOnlyList<string> All { get; } =
    [
        .. Of("coordinator", Journaled(), EffectsOf<CoordinatorEffect>().Where(name => name != nameof(CoordinatorEffect.Send))
            .Concat(WireSamples.Commands.Select(StepName.Of))),
        .. Of("source", Taken(new SourceMachine().Evolve, SourceState.New), EffectsOf<SourceEffect>()),
        .. Of("destination", Taken(new DestinationMachine().Evolve, DestinationState.New), EffectsOf<DestinationEffect>()),
        .. FailpointRows.Names,
        .. FenceFile.FailpointNames,
    ];

    /// <summary>Arms what the environment names.</summary>
    /// <exception cref="StartRefusedException">names what is wrong in it.</exception>
    public static void Arm()
    {
        try
        {
            Failpoints.Arm(Environment.GetEnvironmentVariable(Variable), All);
        }
        catch (FormatException error)
        {
            throw new StartRefusedException($"{Variable}: {error.Message}; `mc-node failpoints` lists them all", exitCode: 2, error);
        }
    }

    private static IEnumerable<string> Of(string scope, IEnumerable<string> events, IEnumerable<string> effects) =>
        events.SelectMany(name => Failpoints.Around(scope, name)).Concat(effects.Select(name => $"{scope}:effect:{name}"));

    private static IEnumerable<string> EffectsOf<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicNestedTypes)] TEffect>() => typeof(TEffect).GetNestedTypes().Select(type => type.Name);

    /// <summary>Its own events, and of the agents' those that it journals in some phase.</summary>
    private static IEnumerable<string> Journaled()
    {
        var machine = new CoordinatorMachine();
        var planned = machine.Evolve(CoordinatorState.New, WireSamples.CoordinatorEvents.OfType<CoordinatorEvent.Planned>().Single());
        var heard = WireSamples.AgentEvents.Where(e => Enum.GetValues<MigrationPhase>().Any(phase =>
            machine.Decide(planned with { Phase = phase }, new CoordinatorCommand.Hear(e, e.At)) is Accepted<CoordinatorEvent>({ Count: > 0 })));
        return WireSamples.CoordinatorEvents.Where(e => e is not CoordinatorEvent.Observed).Concat<object>(heard).Select(StepName.Of);
    }

    /// <summary>The events that are this side's: the others its machine does not take.</summary>
    private static IEnumerable<string> Taken<TState>(Func<TState, AgentEvent, TState> evolve, TState initial) =>
        WireSamples.AgentEvents.Where(e => Takes(evolve, initial, e)).Select(StepName.Of);

    private static bool Takes<TState>(Func<TState, AgentEvent, TState> evolve, TState initial, AgentEvent e)
    {
        try
        {
            evolve(initial, e);
            return true;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
        catch (KeyNotFoundException)
        {
            // A state of a device: the sample's is none of the initial state's, but the event is.
            return true;
        }
    }
}
