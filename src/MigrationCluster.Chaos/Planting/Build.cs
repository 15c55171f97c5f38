using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Planting;

/// <summary>What a run of the harness drives: the product's machines, or the same with one planted bug.</summary>
internal sealed record Build(
    IStateMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> Coordinator,
    IStateMachine<SourceState, SourceCommand, AgentEvent, SourceEffect> Source,
    IStateMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect> Destination,
    Surroundings Surroundings)
{
    public static readonly Build Product =
        new(new CoordinatorMachine(), new SourceMachine(), new DestinationMachine(), new Surroundings());
}
