using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>What is being migrated, fixed when the migration is planned.</summary>
/// <param name="Fence">the attempt's epoch as the row was opened with, and the coordinator's term.</param>
/// <param name="SpecJson">the guest spec as the operator wrote it.</param>
/// <param name="Configuration">of the guest's running devices; null: a plan of an earlier release.</param>
/// <param name="UnknownAcceptedBy">the operator who takes unknown verdicts upon himself; null: they refuse.</param>
/// <param name="Findings">what planning learned besides; null: a plan of an earlier release.</param>
/// <param name="PlainAcceptedBy">the operator who has guest RAM travel unsealed between hosts; null: beyond loopback it is sealed.</param>
/// <param name="VerifyFull">before any vote both sides compare a hash of all of RAM too, not only what was sent and written.</param>
/// <param name="MaxBytesPerSecond">of the transfer while the guest runs, as it begins; null: as fast as it can.</param>
/// <param name="Policy">what the operator allows pre-copy; null: the limit alone.</param>
/// <param name="Costs">what earlier blackouts cost, as far as was known; null: a plan of an earlier release.</param>
public sealed record MigrationPlan(
    MigrationId Migration,
    GuestName Guest,
    HostName Source,
    HostName Destination,
    Fence Fence,
    string SpecJson,
    TimeSpan MaxDowntime,
    IReadOnlyList<DeviceConfiguration>? Configuration = null,
    string? UnknownAcceptedBy = null,
    PlanFindings? Findings = null,
    string? PlainAcceptedBy = null,
    bool VerifyFull = false,
    long? MaxBytesPerSecond = null,
    ConvergencePolicy? Policy = null,
    LearnedCosts? Costs = null);

/// <summary>What planning learned and an operator may ask for later.</summary>
/// <param name="Unknown">what nobody could tell, and was accepted by name; empty unless somebody did.</param>
/// <param name="Dropped">optional state sections that the destination's template says it will drop.</param>
/// <param name="NoWayBack">why the guest could not come back to its source; empty: it could.</param>
/// <param name="PassedOver">every other host, where the destination was searched for; empty where it was named.</param>
/// <param name="Quiesce">how the guest's devices come to a stand and run again; null: a plan of an earlier release.</param>
public sealed record PlanFindings(
    IReadOnlyList<Refusal> Unknown,
    IReadOnlyList<DroppedSections> Dropped,
    IReadOnlyList<Refusal> NoWayBack,
    IReadOnlyList<PassedOver> PassedOver,
    QuiescePlan? Quiesce = null);

/// <summary>A host that a search did not choose.</summary>
/// <param name="Reasons">why it cannot take the guest; empty: it could, and ranks lower.</param>
/// <param name="Rank">its place among those that could, from 1; null: it could not.</param>
public sealed record PassedOver(HostName Host, int? Rank, IReadOnlyList<Refusal> Reasons);
