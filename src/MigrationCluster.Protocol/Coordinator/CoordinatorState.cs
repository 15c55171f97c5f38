using System.Collections.Immutable;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>The phases of a migration, as operators see them.</summary>
public enum MigrationPhase
{
    Planning = 0,
    Preparing,
    Negotiating,
    PreCopy,
    Quiescing,
    StopAndCopy,
    Verifying,
    Committing,
    Resuming,
    Completed,
    RollingBack,
    Failed,
    Cancelled,
    GuestLost,
}

/// <summary>One migration as its coordinator sees it; derived from its events alone.</summary>
/// <param name="Plan">null before <see cref="CoordinatorEvent.Planned"/>.</param>
/// <param name="Fence">what commands carry now: the plan's, or a raised epoch once the row is aborted.</param>
/// <param name="Reopened">where the destination takes connections now, if its daemon was restarted in the transfer.</param>
/// <param name="Readiness">which readiness of the source is acted on; 0: none yet.</param>
/// <param name="SwitchedOver">the source was told to switch over: from then on the destination may hold everything.</param>
/// <param name="SourceDone">the source has kept or released the guest.</param>
/// <param name="DestinationDone">the incoming guest is discarded, or proven never to have run.</param>
/// <param name="SourceHostDead">proven by an operator: nothing is asked of it any more.</param>
/// <param name="DestinationHostDead">the same of the destination. Whether its fence file holds a permit cannot be read.</param>
/// <param name="ReleaseOverdue">the guest runs on the destination, but the source has not released its copy in time.</param>
/// <param name="By">the node that coordinates under the fence's term; null: a journal of an earlier release.</param>
/// <param name="Bandwidth">what an operator has chosen since the plan; null: nothing.</param>
/// <param name="BandwidthHeard">up to which change the source has told that it keeps to it.</param>
/// <param name="Resumed">the guest runs on the destination; heard before the row was read, that is all there is to hear.</param>
/// <param name="Refused">the failure is a refusal: nothing was wrong but the match.</param>
public sealed record CoordinatorState(
    MigrationPhase Phase,
    MigrationPlan? Plan,
    Fence Fence,
    OwnershipDecision Decision,
    bool CancelRequested,
    bool Refused,
    SetupCollected? Setup,
    DestinationPrepared? Prepared,
    TransferReopened? Reopened,
    FinalStateSent? Sent,
    DestinationVerified? Verified,
    bool SwitchedOver,
    bool Yielded,
    bool DestinationFailed,
    bool SourceDied,
    bool SourceDone,
    bool DestinationDone,
    bool ReleaseOverdue,
    ImmutableList<Refusal> Reasons,
    bool SourceHostDead = false,
    bool DestinationHostDead = false,
    int Readiness = 0,
    HostName? By = null,
    CoordinatorEvent.BandwidthChosen? Bandwidth = null,
    int BandwidthHeard = 0,
    bool Resumed = false)
{
    public static readonly CoordinatorState New = new(
        MigrationPhase.Planning, null, default, OwnershipDecision.Undecided, false, false,
        null, null, null, null, null, false, false, false, false, false, false, false, []);

    /// <summary>The row decides, and both sides are held until it has: no coordinator that cannot read it knows who may run the guest. From
    /// the moment the source is asked to yield it may have.</summary>
    public bool AwaitsTheRow => (Decision == OwnershipDecision.Undecided && (Phase == MigrationPhase.Committing
            || (Phase == MigrationPhase.RollingBack && Yielded)))
        || (Phase == MigrationPhase.Resuming && DestinationGone);

    /// <summary>Of the transfer while the guest runs; null: as fast as it can.</summary>
    public long? MaxBytesPerSecond => Bandwidth is { } chosen ? chosen.MaxBytesPerSecond : Plan?.MaxBytesPerSecond;

    /// <summary>Nothing of the incoming guest can run any more.</summary>
    public bool DestinationGone => DestinationDone || DestinationHostDead;

    /// <summary>Nothing is left to do for this migration.</summary>
    public bool Ended => Phase is MigrationPhase.Failed or MigrationPhase.Cancelled or MigrationPhase.GuestLost
        || (Phase == MigrationPhase.Completed && SourceDone);
}
