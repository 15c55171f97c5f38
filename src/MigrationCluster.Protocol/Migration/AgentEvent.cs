using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// What happened on one host in one migration. The agent journals it under a number; the coordinator reads the
/// feed by number, so a lost message or a restart loses nothing. The agent's own machines evolve on the same events.
/// </summary>
/// <param name="At">the host's wall clock.</param>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(FenceRaised), "fence-raised")]
[JsonDerivedType(typeof(SourceOpened), "source-opened")]
[JsonDerivedType(typeof(SetupCollected), "setup-collected")]
[JsonDerivedType(typeof(PreCopyStarted), "pre-copy-started")]
[JsonDerivedType(typeof(DeviceStateReached), "device-state-reached")]
[JsonDerivedType(typeof(TransferOpened), "transfer-opened")]
[JsonDerivedType(typeof(TransferLost), "transfer-lost")]
[JsonDerivedType(typeof(TransferRedirected), "transfer-redirected")]
[JsonDerivedType(typeof(TransferClosed), "transfer-closed")]
[JsonDerivedType(typeof(TransferReopened), "transfer-reopened")]
[JsonDerivedType(typeof(BandwidthLimited), "bandwidth-limited")]
[JsonDerivedType(typeof(IterationFinished), "iteration-finished")]
[JsonDerivedType(typeof(ReadyToSwitch), "ready-to-switch")]
[JsonDerivedType(typeof(SwitchOverStarted), "switch-over-started")]
[JsonDerivedType(typeof(SwitchOverPutOff), "switch-over-put-off")]
[JsonDerivedType(typeof(MachinePaused), "machine-paused")]
[JsonDerivedType(typeof(GroupQuiet), "group-quiet")]
[JsonDerivedType(typeof(DevicesStopped), "devices-stopped")]
[JsonDerivedType(typeof(FinalStateSent), "final-state-sent")]
[JsonDerivedType(typeof(YieldRequested), "yield-requested")]
[JsonDerivedType(typeof(GuestYielded), "guest-yielded")]
[JsonDerivedType(typeof(KeepRequested), "keep-requested")]
[JsonDerivedType(typeof(KeepVoted), "keep-voted")]
[JsonDerivedType(typeof(GuestKept), "guest-kept")]
[JsonDerivedType(typeof(ReleaseRequested), "release-requested")]
[JsonDerivedType(typeof(GuestReleased), "guest-released")]
[JsonDerivedType(typeof(SourceFailed), "source-failed")]
[JsonDerivedType(typeof(SourceGuestDied), "source-guest-died")]
[JsonDerivedType(typeof(DestinationOpened), "destination-opened")]
[JsonDerivedType(typeof(DestinationPrepared), "destination-prepared")]
[JsonDerivedType(typeof(SetupCheckRequested), "setup-check-requested")]
[JsonDerivedType(typeof(SetupConfirmed), "setup-confirmed")]
[JsonDerivedType(typeof(SetupAccepted), "setup-accepted")]
[JsonDerivedType(typeof(SetupRefused), "setup-refused")]
[JsonDerivedType(typeof(StreamComplete), "stream-complete")]
[JsonDerivedType(typeof(DestinationVerified), "destination-verified")]
[JsonDerivedType(typeof(RunRequested), "run-requested")]
[JsonDerivedType(typeof(PermitTaken), "permit-taken")]
[JsonDerivedType(typeof(GuestResumed), "guest-resumed")]
[JsonDerivedType(typeof(DestinationFailed), "destination-failed")]
[JsonDerivedType(typeof(DiscardRequested), "discard-requested")]
[JsonDerivedType(typeof(IncomingDiscarded), "incoming-discarded")]
[JsonDerivedType(typeof(ProofRequested), "proof-requested")]
[JsonDerivedType(typeof(ProvenNeverRan), "proven-never-ran")]
[JsonDerivedType(typeof(MayHaveRun), "may-have-run")]
public abstract record AgentEvent(MigrationId Migration, DateTimeOffset At)
{
    /// <summary>Whether the journal must be on disk before anybody hears of it. Only what decides ownership is.</summary>
    [JsonIgnore]
    public bool Durable => this is SourceOpened or DestinationOpened or DestinationVerified or GuestYielded
        or PermitTaken or GuestKept or GuestReleased or IncomingDiscarded or ProvenNeverRan or MayHaveRun
        or SourceGuestDied;
}

/// <summary>One device as the machines plan with it.</summary>
/// <param name="Group">number of its P2P group; members of one group quiesce together.</param>
/// <param name="State">where the real device stood when it was opened.</param>
/// <param name="Standing">what it is to the others of the guest.</param>
public sealed record PlannedDevice(
    DeviceName Name, MigrationCapabilities Capabilities, int Group, DeviceState State,
    MemberStanding Standing = MemberStanding.Member);

/// <summary>What a device is to the others on the way back to Running. It only grows.</summary>
public enum MemberStanding
{
    Member = 0,

    /// <summary>It refused a move, or took too long: it is asked for nothing any more.</summary>
    GivenUp,

    /// <summary>None of its P2P edges is mapped any more, in either direction, and the machine does not wait for it.</summary>
    Isolated,
}

/// <summary>Either side: a coordinator of a later term commands this attempt now; earlier ones are refused.</summary>
public sealed record FenceRaised(MigrationId Migration, DateTimeOffset At, Fence Fence) : AgentEvent(Migration, At);

// Source

/// <summary>The source agent took the migration on: sessions bound at <paramref name="Fence"/>, devices probed.</summary>
public sealed record SourceOpened(MigrationId Migration, DateTimeOffset At, GuestName Guest, Fence Fence)
    : AgentEvent(Migration, At);

public sealed record SetupCollected(
    MigrationId Migration, DateTimeOffset At, IReadOnlyList<SetupRecord> Records, IReadOnlyList<PlannedDevice> Devices)
    : AgentEvent(Migration, At);

/// <param name="Policy">null: the limit alone.</param>
/// <param name="Costs">null: nobody knows what blackouts cost.</param>
public sealed record PreCopyStarted(
    MigrationId Migration, DateTimeOffset At, string DataEndpoint, string Token, TimeSpan MaxDowntime,
    string? PlainAcceptedBy = null, bool VerifyFull = false, long? MaxBytesPerSecond = null, ConvergencePolicy? Policy = null,
    LearnedCosts? Costs = null)
    : AgentEvent(Migration, At);

/// <summary>Either side: a device stands in this state now.</summary>
/// <param name="State">of one that does not tell: Error.</param>
/// <param name="Standing">what it is to the others from now on; what it was once, it stays at least.</param>
public sealed record DeviceStateReached(
    MigrationId Migration, DateTimeOffset At, DeviceName Device, DeviceState State,
    MemberStanding Standing = MemberStanding.Member)
    : AgentEvent(Migration, At);

/// <summary>Source: the connections are gone, with the network or with this daemon's life. Nothing that was acknowledged is; what was
/// under way is owed.</summary>
public sealed record TransferLost(MigrationId Migration, DateTimeOffset At, string Reason) : AgentEvent(Migration, At);

/// <summary>Source: the destination is to be connected to elsewhere.</summary>
public sealed record TransferRedirected(
    MigrationId Migration, DateTimeOffset At, string DataEndpoint, string Token, int Opening) : AgentEvent(Migration, At);

/// <summary>Destination: its daemon was restarted; the data plane does not take this transfer's connections any more. The guest process
/// holds what has arrived.</summary>
public sealed record TransferClosed(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <summary>Destination: after a restart of its daemon the data plane takes this transfer's connections again.</summary>
/// <param name="Opening">number of this opening, from 1; 0 was <see cref="DestinationPrepared"/>'s.</param>
public sealed record TransferReopened(
    MigrationId Migration, DateTimeOffset At, string DataEndpoint, string Token, int Opening) : AgentEvent(Migration, At);

/// <summary>Source: connections to the destination are up, dirty logs run.</summary>
public sealed record TransferOpened(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <summary>Source: the transfer keeps to another bandwidth, in this daemon's next life too.</summary>
/// <param name="Change">which <see cref="LimitBandwidth"/> it answers.</param>
public sealed record BandwidthLimited(MigrationId Migration, DateTimeOffset At, long? MaxBytesPerSecond, int Change)
    : AgentEvent(Migration, At);

/// <param name="Bytes">page and device bytes sent in this pass.</param>
/// <param name="RemainingBytes">dirtied while the pass ran, pages and devices.</param>
/// <param name="Pass">all that was seen of it; null: of an earlier release.</param>
/// <param name="Predicted">of a downtime that had begun with its end; null: of an earlier release.</param>
/// <param name="Stall">what pre-copy will not overcome; null: it will, or nobody knows yet.</param>
/// <param name="ThrottlePercent">by how much the vCPUs are slowed from now on.</param>
public sealed record IterationFinished(
    MigrationId Migration, DateTimeOffset At, int Iteration, long Pages, long Bytes, TimeSpan Duration,
    long RemainingBytes, double BandwidthBytesPerSecond, double DirtyBytesPerSecond, PassObservation? Pass = null,
    DowntimePrediction? Predicted = null, Stall? Stall = null, int ThrottlePercent = 0)
    : AgentEvent(Migration, At);

/// <summary>The switchover rule holds: predicted downtime fits, every device's initial bytes are loaded.</summary>
/// <param name="PredictedDowntime">the median.</param>
/// <param name="Readiness">how often it has been ready by now: a switchover may be put off.</param>
/// <param name="Predicted">by component, and how sure it is; null: of an earlier release.</param>
public sealed record ReadyToSwitch(
    MigrationId Migration, DateTimeOffset At, TimeSpan PredictedDowntime, int Readiness = 1, DowntimePrediction? Predicted = null)
    : AgentEvent(Migration, At);

public sealed record SwitchOverStarted(MigrationId Migration, DateTimeOffset At, TimeSpan PauseDeadline)
    : AgentEvent(Migration, At);

/// <summary>The machine was not paused: pre-copy goes on until the rule holds again.</summary>
/// <param name="Devices">have initial bytes again, and so took their readiness back.</param>
/// <param name="Readiness">which <see cref="ReadyToSwitch"/> it takes back.</param>
public sealed record SwitchOverPutOff(MigrationId Migration, DateTimeOffset At, IReadOnlyList<DeviceName> Devices, int Readiness = 1)
    : AgentEvent(Migration, At);

public sealed record MachinePaused(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <summary>Every member of every group is P2P-quiet.</summary>
public sealed record GroupQuiet(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record DevicesStopped(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <param name="Digest">of the manifest: page digests and device stream digests.</param>
/// <param name="PagesSentAt">when the last final page was acknowledged.</param>
/// <param name="RamDigest">of all of RAM, which the destination found the same; null: nobody asked for it.</param>
/// <param name="Timings">null: of an earlier release.</param>
public sealed record FinalStateSent(
    MigrationId Migration, DateTimeOffset At, string Digest, DateTimeOffset PagesSentAt, TransferTotals Totals, string? RamDigest = null,
    BlackoutTimings? Timings = null)
    : AgentEvent(Migration, At);

/// <param name="DeviceBytes">state stream bytes by device name.</param>
/// <param name="ResentBytes">page and device bytes that were under way when connections were lost, and so were sent again.</param>
public sealed record TransferTotals(
    long PageBytes, long ZeroBytes, long ProtocolBytes, IReadOnlyDictionary<string, long> DeviceBytes, long ResentBytes = 0);

public sealed record YieldRequested(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record GuestYielded(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <param name="Fence">raised epoch when the row was aborted.</param>
public sealed record KeepRequested(MigrationId Migration, DateTimeOffset At, Fence Fence, string Reason)
    : AgentEvent(Migration, At);

public sealed record KeepVoted(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <summary>The guest runs on the source, every device Running.</summary>
public sealed record GuestKept(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record ReleaseRequested(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

/// <param name="Residue">what could not be removed; empty normally.</param>
/// <param name="ContentDigests">checksum of each device's content when it was stopped, by device name.</param>
public sealed record GuestReleased(
    MigrationId Migration, DateTimeOffset At, IReadOnlyList<string> Residue,
    IReadOnlyDictionary<string, string> ContentDigests)
    : AgentEvent(Migration, At);

/// <summary>Something operating failed on the source; the guest process lives.</summary>
public sealed record SourceFailed(MigrationId Migration, DateTimeOffset At, string Code, string Reason)
    : AgentEvent(Migration, At);

/// <summary>The source guest process and its device servers are dead; its fence file was read under flock.</summary>
/// <param name="DiedAsYielded">the file held no Kept: Yielded was written into it on the dead process's behalf.</param>
public sealed record SourceGuestDied(MigrationId Migration, DateTimeOffset At, bool DiedAsYielded, string Reason)
    : AgentEvent(Migration, At);

// Destination

/// <param name="Coordinator">the node that ordered it; null: it did not say.</param>
public sealed record DestinationOpened(
    MigrationId Migration, DateTimeOffset At, GuestName Guest, Fence Fence, string SpecJson,
    IReadOnlyList<DeviceConfiguration>? Configuration = null, string? PlainAcceptedBy = null, HostName? Coordinator = null)
    : AgentEvent(Migration, At);

public sealed record DestinationPrepared(
    MigrationId Migration, DateTimeOffset At, string DataEndpoint, string Token, IReadOnlyList<PlannedDevice> Devices)
    : AgentEvent(Migration, At);

/// <param name="UnknownAcceptedBy">the operator who takes unknown verdicts upon himself; null: they refuse.</param>
public sealed record SetupCheckRequested(
    MigrationId Migration, DateTimeOffset At, IReadOnlyList<SetupRecord> Records, string? UnknownAcceptedBy = null)
    : AgentEvent(Migration, At);

/// <summary>Every device accepted its record; they go to Resuming now.</summary>
/// <param name="Dropped">optional state sections that the real devices do not know and will drop; null: none.</param>
/// <param name="Unknown">what the real devices could not tell and an operator accepted by name; null: nothing.</param>
public sealed record SetupConfirmed(
    MigrationId Migration, DateTimeOffset At, IReadOnlyList<DroppedSections>? Dropped = null,
    IReadOnlyList<Refusal>? Unknown = null)
    : AgentEvent(Migration, At);

/// <summary>Every device accepted and stands in Resuming.</summary>
public sealed record SetupAccepted(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record SetupRefused(MigrationId Migration, DateTimeOffset At, IReadOnlyList<Refusal> Refusals)
    : AgentEvent(Migration, At);

/// <summary>All data arrived and the manifest agrees.</summary>
/// <param name="Digest">the manifest's.</param>
public sealed record StreamComplete(MigrationId Migration, DateTimeOffset At, string Digest)
    : AgentEvent(Migration, At);

/// <summary>Devices loaded, in Stop; Verified is in the fence file.</summary>
/// <param name="ContentDigests">checksum of each device's content before it runs, by device name.</param>
public sealed record DestinationVerified(
    MigrationId Migration, DateTimeOffset At, string Digest, IReadOnlyDictionary<string, string> ContentDigests)
    : AgentEvent(Migration, At);

public sealed record RunRequested(MigrationId Migration, DateTimeOffset At, Fence Fence) : AgentEvent(Migration, At);

public sealed record PermitTaken(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record GuestResumed(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record DestinationFailed(MigrationId Migration, DateTimeOffset At, string Code, string Reason)
    : AgentEvent(Migration, At);

public sealed record DiscardRequested(MigrationId Migration, DateTimeOffset At, Fence Fence)
    : AgentEvent(Migration, At);

/// <param name="ReceivedBytes">pages and device state that this host's data plane had taken in; null: its counters are gone, the
/// daemon was restarted.</param>
public sealed record IncomingDiscarded(MigrationId Migration, DateTimeOffset At, long? ReceivedBytes = null)
    : AgentEvent(Migration, At);

public sealed record ProofRequested(MigrationId Migration, DateTimeOffset At, Fence Fence)
    : AgentEvent(Migration, At);

/// <summary>Process and device servers dead, fence file raised under flock, no permit in it.</summary>
public sealed record ProvenNeverRan(MigrationId Migration, DateTimeOffset At) : AgentEvent(Migration, At);

public sealed record MayHaveRun(MigrationId Migration, DateTimeOffset At, string Reason) : AgentEvent(Migration, At);
