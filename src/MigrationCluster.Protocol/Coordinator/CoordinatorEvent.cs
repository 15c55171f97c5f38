using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>What the coordinator's journal holds of one migration.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(Planned), "planned")]
[JsonDerivedType(typeof(PhaseEntered), "phase-entered")]
[JsonDerivedType(typeof(Observed), "observed")]
[JsonDerivedType(typeof(CancelRequested), "cancel-requested")]
[JsonDerivedType(typeof(BandwidthChosen), "bandwidth-chosen")]
[JsonDerivedType(typeof(AbortChosen), "abort-chosen")]
[JsonDerivedType(typeof(DecisionRead), "decision-read")]
[JsonDerivedType(typeof(TookOver), "took-over")]
[JsonDerivedType(typeof(ReleaseOverdue), "release-overdue")]
[JsonDerivedType(typeof(HostProvenDead), "host-proven-dead")]
public abstract record CoordinatorEvent(DateTimeOffset At)
{
    /// <param name="By">the node that coordinates under the plan's term; null: a journal of an earlier release.</param>
    public sealed record Planned(MigrationPlan Plan, DateTimeOffset At, HostName? By = null) : CoordinatorEvent(At);

    public sealed record PhaseEntered(MigrationPhase Phase, DateTimeOffset At) : CoordinatorEvent(At);

    /// <summary>An agent's event this machine acts on or reports.</summary>
    public sealed record Observed(AgentEvent Event, DateTimeOffset At) : CoordinatorEvent(At);

    public sealed record CancelRequested(DateTimeOffset At) : CoordinatorEvent(At);

    /// <param name="Change">number of this change, from 1: the plan's is 0.</param>
    public sealed record BandwidthChosen(long? MaxBytesPerSecond, int Change, DateTimeOffset At) : CoordinatorEvent(At);

    /// <param name="By">the node that coordinates from here on; null: a journal of an earlier release.</param>
    public sealed record TookOver(Term Term, DateTimeOffset At, HostName? By = null) : CoordinatorEvent(At);

    /// <summary>The source has not released its copy in time; it is asked on, and the report names it as residue.</summary>
    public sealed record ReleaseOverdue(DateTimeOffset At) : CoordinatorEvent(At);

    /// <param name="By">the operator or fencing agent whose word it is.</param>
    public sealed record HostProvenDead(HostName Host, string By, DateTimeOffset At) : CoordinatorEvent(At);

    /// <param name="Refused">the devices or hosts do not match; nothing had moved.</param>
    public sealed record AbortChosen(IReadOnlyList<Refusal> Reasons, bool Refused, DateTimeOffset At)
        : CoordinatorEvent(At);

    /// <summary>The row's decision about this attempt is known. The row itself was durable before.</summary>
    /// <param name="Epoch">the row's epoch: raised when aborted.</param>
    public sealed record DecisionRead(OwnershipDecision Decision, Epoch Epoch, DateTimeOffset At)
        : CoordinatorEvent(At);
}
