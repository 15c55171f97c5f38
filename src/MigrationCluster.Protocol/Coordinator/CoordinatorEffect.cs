using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>What the coordinator machine waits for. Idempotent; ends in a <see cref="CoordinatorCommand"/> or none.</summary>
public abstract record CoordinatorEffect
{
    /// <summary>Tell an agent, again and again until its feed answers.</summary>
    public sealed record Send(AgentCommand Command) : CoordinatorEffect
    {
        // A setup's records are a list: by value two sends of one step are the same effect.
        public bool Equals(Send? other) =>
            other is not null && other.Command.GetType() == Command.GetType()
            && other.Command.Migration == Command.Migration && other.Command.Fence == Command.Fence;

        public override int GetHashCode() => HashCode.Combine(Command.GetType(), Command.Migration, Command.Fence);
    }

    /// <summary>Swap the guest's row to this decision, then read it.</summary>
    public sealed record Decide(OwnershipDecision Decision, bool OnProof) : CoordinatorEffect;

    /// <summary>Tell the machine when a phase has taken this long.</summary>
    public sealed record Alarm(MigrationPhase Phase, TimeSpan After) : CoordinatorEffect;
}
