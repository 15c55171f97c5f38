using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Chaos.Planting;

/// <summary>RunGuest is the end of it: nobody waits for GuestResumed before the source is released.</summary>
internal sealed class UnacknowledgedOkay()
    : PlantedMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>(new CoordinatorMachine())
{
    public override Decision<CoordinatorEvent> Decide(CoordinatorState state, CoordinatorCommand command)
    {
        var decision = base.Decide(state, command);
        bool resumes = decision is Accepted<CoordinatorEvent> { Events: [.., CoordinatorEvent.PhaseEntered { Phase: MigrationPhase.Resuming }] };
        return resumes
            ? Accept([.. ((Accepted<CoordinatorEvent>)decision).Events, new CoordinatorEvent.PhaseEntered(MigrationPhase.Completed, command.At)])
            : decision;
    }

    public override IReadOnlyList<CoordinatorEffect> Pending(CoordinatorState state) =>
        state is { Phase: MigrationPhase.Completed, SourceDone: false, Plan: { } plan }
            ? [new CoordinatorEffect.Send(new RunGuest(plan.Migration, plan.Guest, state.Fence)), .. base.Pending(state)]
            : base.Pending(state);
}

/// <summary>A coordinator that comes back while the destination resumes takes the repeated step for a failed one, and undoes.</summary>
internal sealed class UndoesWhatRuns()
    : PlantedMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>(new CoordinatorMachine())
{
    public override Decision<CoordinatorEvent> Decide(CoordinatorState state, CoordinatorCommand command) =>
        command is CoordinatorCommand.TakeOver take && state.Phase == MigrationPhase.Resuming
            ? Accept(
                new CoordinatorEvent.TookOver(take.Term, take.At),
                new CoordinatorEvent.AbortChosen([], false, take.At),
                new CoordinatorEvent.PhaseEntered(MigrationPhase.RollingBack, take.At))
            : base.Decide(state, command);
}

/// <summary>The decision is made without the source's vote.</summary>
internal sealed class CommitsWithoutYield()
    : PlantedMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>(new CoordinatorMachine())
{
    public override IReadOnlyList<CoordinatorEffect> Pending(CoordinatorState state) =>
        state.Phase == MigrationPhase.Committing
            ? [new CoordinatorEffect.Decide(OwnershipDecision.Committed, false)]
            : base.Pending(state);
}
