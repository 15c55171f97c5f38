using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Chaos.Planting;

/// <summary>A daemon that comes back after everything was sent does not know how it ended, and waits for a third party.</summary>
internal sealed class StaysUndecided() : PlantedMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>(new SourceMachine())
{
    public override Decision<AgentEvent> Decide(SourceState state, SourceCommand command) => command switch
    {
        SourceCommand.Restarted restarted when HasSent(state) => Accept(
            new SourceFailed(state.Migration, restarted.At, "migration.undecided", "a third party needs to check what to do next")),
        SourceCommand.Order when IsStuck(state) =>
            new Refused<AgentEvent>("migration.undecided", "a third party needs to check what to do next"),
        _ => base.Decide(state, command),
    };

    public override IReadOnlyList<SourceEffect> Pending(SourceState state) => IsStuck(state) ? [] : base.Pending(state);

    private static bool IsStuck(SourceState state) => HasSent(state) && state.Failure is not null;

    private static bool HasSent(SourceState state) => state.Phase is SourcePhase.Sent or SourcePhase.Yielding or SourcePhase.Yielded;
}

/// <summary>A pass of pre-copy that broke is simply followed by the next one.</summary>
internal sealed class IteratesOn() : PlantedMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>(new SourceMachine())
{
    public override Decision<AgentEvent> Decide(SourceState state, SourceCommand command) =>
        command is SourceCommand.Failed { Device: null } && state is { Phase: SourcePhase.PreCopy, TransferOpen: true }
            ? Accept()
            : base.Decide(state, command);
}

/// <summary>Devices are stopped while others of their group may still do P2P DMA into them.</summary>
internal sealed class StopsBeforeQuiet() : PlantedMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>(new SourceMachine())
{
    public override IReadOnlyList<SourceEffect> Pending(SourceState state) =>
        base.Pending(state.Phase == SourcePhase.Quiescing ? state with { Phase = SourcePhase.Stopping } : state);
}

/// <summary>A device that refuses its way back is taken to be in Error, wherever it stands: it is isolated when its peers run.</summary>
internal sealed class IsolatesTooLate() : PlantedMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>(new SourceMachine())
{
    public override IReadOnlyList<SourceEffect> Pending(SourceState state)
    {
        var early = state.Members.Where(device => device.Standing == MemberStanding.GivenUp)
            .Aggregate(state, (before, device) => before.With(device.Name, device.State, MemberStanding.Isolated));
        var moves = base.Pending(early);
        return moves.Any(effect => effect is SourceEffect.MoveDevice move && move.Device != DeviceName.Machine)
            ? moves
            : base.Pending(state);
    }
}
