using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Planting;

/// <summary>What has everything runs: the destination does not wait to be told that the row says committed.</summary>
internal sealed class DeclaresItselfOwner()
    : PlantedMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect>(new DestinationMachine())
{
    public override Decision<AgentEvent> Decide(DestinationState state, DestinationCommand command) =>
        base.Decide(state, command) is Accepted<AgentEvent> { Events: var events } && events.Any(e => e is DestinationVerified)
            ? Accept([.. events, new RunRequested(state.Migration, command.At, state.Fence)])
            : base.Decide(state, command);
}

/// <summary>An order to discard is carried out in every phase.</summary>
internal sealed class DiscardsAnything()
    : PlantedMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect>(new DestinationMachine())
{
    public override Decision<AgentEvent> Decide(DestinationState state, DestinationCommand command) =>
        command is DestinationCommand.Order { Command: DiscardIncoming discard } order && discard.Fence >= state.Fence
            && state.Phase is DestinationPhase.Permitting or DestinationPhase.Resuming or DestinationPhase.Resumed
            ? Accept(new DiscardRequested(state.Migration, order.At, discard.Fence))
            : base.Decide(state, command);
}

/// <summary>Devices run as soon as they can, whatever of their group still stands still.</summary>
internal sealed class RunsBeforeQuiet()
    : PlantedMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect>(new DestinationMachine())
{
    public override IReadOnlyList<DestinationEffect> Pending(DestinationState state)
    {
        var ready = state.Phase != DestinationPhase.Resuming ? [] : state.Members
            .Where(device => device.State == DeviceState.RunningP2P)
            .Select(device => new DestinationEffect.MoveDevice(device.Name, DeviceState.Running)).ToList();
        return ready.Count > 0 ? ready : base.Pending(state);
    }
}
