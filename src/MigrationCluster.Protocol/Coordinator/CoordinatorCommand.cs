using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>What a migration's coordinator is told.</summary>
/// <param name="At">the coordinator's wall clock.</param>
public abstract record CoordinatorCommand(DateTimeOffset At)
{
    /// <summary>Planning is done and the row is opened: begin.</summary>
    /// <param name="By">the coordinator's node.</param>
    public sealed record Begin(MigrationPlan Plan, DateTimeOffset At, HostName? By = null) : CoordinatorCommand(At);

    /// <summary>An agent's feed says this.</summary>
    public sealed record Hear(AgentEvent Event, DateTimeOffset At) : CoordinatorCommand(At);

    /// <summary>An agent refused a command by name.</summary>
    public sealed record CommandRefused(AgentCommand Command, string Code, string Reason, DateTimeOffset At)
        : CoordinatorCommand(At);

    /// <summary>A coordinator carries on with a migration it finds in its journal, under a higher term.</summary>
    /// <param name="By">the coordinator's node.</param>
    public sealed record TakeOver(Term Term, DateTimeOffset At, HostName? By = null) : CoordinatorCommand(At);

    public sealed record Cancel(DateTimeOffset At) : CoordinatorCommand(At);

    /// <summary>The operator has the transfer keep to another bandwidth.</summary>
    /// <param name="MaxBytesPerSecond">while the guest runs; null: as fast as it can.</param>
    public sealed record LimitBandwidth(long? MaxBytesPerSecond, DateTimeOffset At) : CoordinatorCommand(At);

    /// <summary>The row as it reads after a swap that was tried, whoever won it.</summary>
    public sealed record RowRead(GuestRow Row, DateTimeOffset At) : CoordinatorCommand(At);

    /// <summary>A whole host is dead for good: no process of it runs and none will start again by itself. A person or a fencing agent
    /// has made sure of it; time alone never proves it.</summary>
    /// <param name="By">who says so.</param>
    public sealed record HostProvenDead(HostName Host, string By, DateTimeOffset At) : CoordinatorCommand(At);

    /// <summary>A phase took longer than it may.</summary>
    public sealed record DeadlinePassed(MigrationPhase Phase, DateTimeOffset At) : CoordinatorCommand(At);
}
