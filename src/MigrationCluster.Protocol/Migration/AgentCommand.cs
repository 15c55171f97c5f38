using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// What a coordinator tells an agent about one migration. Every command carries (epoch, term); an agent refuses
/// anything older than what it has seen for the guest. Every command is idempotent: it is sent again until the event it
/// asks for arrives.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(PrepareDestination), "prepare-destination")]
[JsonDerivedType(typeof(CollectSetup), "collect-setup")]
[JsonDerivedType(typeof(CheckSetup), "check-setup")]
[JsonDerivedType(typeof(StartPreCopy), "start-pre-copy")]
[JsonDerivedType(typeof(ReconnectTransfer), "reconnect-transfer")]
[JsonDerivedType(typeof(LimitBandwidth), "limit-bandwidth")]
[JsonDerivedType(typeof(SwitchOver), "switch-over")]
[JsonDerivedType(typeof(YieldGuest), "yield-guest")]
[JsonDerivedType(typeof(RunGuest), "run-guest")]
[JsonDerivedType(typeof(ReleaseGuest), "release-guest")]
[JsonDerivedType(typeof(KeepGuest), "keep-guest")]
[JsonDerivedType(typeof(DiscardIncoming), "discard-incoming")]
[JsonDerivedType(typeof(ProveNeverRan), "prove-never-ran")]
public abstract record AgentCommand(MigrationId Migration, GuestName Guest, Fence Fence)
{
    /// <summary>Which of the two agents of a migration this command is for.</summary>
    [JsonIgnore]
    public Side Side => this is PrepareDestination or CheckSetup or RunGuest or DiscardIncoming or ProveNeverRan
        ? Side.Destination
        : Side.Source;
}

public enum Side
{
    Source = 1,
    Destination = 2,
}

/// <summary>Destination: launch the guest process as incoming. Answered by <see cref="DestinationPrepared"/>.</summary>
/// <param name="SpecJson">the guest spec as the operator wrote it; the destination resolves its templates itself.</param>
/// <param name="Configuration">of the source's devices, which the destination's are created with; null: its templates' own.</param>
/// <param name="PlainAcceptedBy">the operator who has guest RAM travel unsealed; null: beyond loopback it is sealed.</param>
/// <param name="Coordinator">the node that orders it, for whoever finds the process later; null: of an earlier release.</param>
public sealed record PrepareDestination(
    MigrationId Migration, GuestName Guest, Fence Fence, string SpecJson,
    IReadOnlyList<DeviceConfiguration>? Configuration = null, string? PlainAcceptedBy = null, HostName? Coordinator = null)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source, save_setup: read every device's setup record. Answered by <see cref="SetupCollected"/>.</summary>
public sealed record CollectSetup(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Destination, save_setup: put each record to the real device; when all accept, devices go to
/// Resuming. Answered by <see cref="SetupAccepted"/> or <see cref="SetupRefused"/>.</summary>
/// <param name="UnknownAcceptedBy">the operator who takes unknown verdicts upon himself; null: they refuse.</param>
public sealed record CheckSetup(
    MigrationId Migration, GuestName Guest, Fence Fence, IReadOnlyList<SetupRecord> Records,
    string? UnknownAcceptedBy = null)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: iterate until the switchover rule holds. Answered by <see cref="IterationFinished"/>s and
/// <see cref="ReadyToSwitch"/>.</summary>
/// <param name="DataEndpoint">address:port of the destination's data plane.</param>
/// <param name="Token">secret of this session, hexadecimal.</param>
/// <param name="PlainAcceptedBy">the operator who has guest RAM travel unsealed; null: beyond loopback it is sealed.</param>
/// <param name="VerifyFull">before any vote both sides compare a hash of all of RAM too, not only what was sent and written.</param>
/// <param name="MaxBytesPerSecond">of this transfer while the guest runs; null: as fast as it can.</param>
/// <param name="Policy">what the operator allows; null: the limit alone, from a coordinator of an earlier release.</param>
/// <param name="Costs">what earlier blackouts cost; null: nobody knows.</param>
public sealed record StartPreCopy(
    MigrationId Migration, GuestName Guest, Fence Fence, string DataEndpoint, string Token, TimeSpan MaxDowntime,
    string? PlainAcceptedBy = null, bool VerifyFull = false, long? MaxBytesPerSecond = null, ConvergencePolicy? Policy = null,
    LearnedCosts? Costs = null)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: the destination's daemon was restarted and its data plane is open again, elsewhere. Answered by
/// <see cref="TransferOpened"/>, if the transfer is not over.</summary>
/// <param name="Opening">number of that opening, from 1; an order of an earlier one is old news.</param>
public sealed record ReconnectTransfer(
    MigrationId Migration, GuestName Guest, Fence Fence, string DataEndpoint, string Token, int Opening)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: from now on keep to another bandwidth. Answered by <see cref="BandwidthLimited"/>, if the transfer is not over.</summary>
/// <param name="Change">number of that change, from 1; an order of an earlier one is old news.</param>
public sealed record LimitBandwidth(MigrationId Migration, GuestName Guest, Fence Fence, long? MaxBytesPerSecond, int Change)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: pause, quiesce, stop, send the rest. Answered by <see cref="FinalStateSent"/>.</summary>
/// <param name="PauseDeadline">after which a paused guest that has not yielded keeps itself.</param>
/// <param name="Readiness">which <see cref="ReadyToSwitch"/> it answers; an order that answers an earlier one is old news.</param>
public sealed record SwitchOver(MigrationId Migration, GuestName Guest, Fence Fence, TimeSpan PauseDeadline, int Readiness = 1)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: vote Yielded durably. Answered by <see cref="GuestYielded"/>, or <see cref="GuestKept"/>.</summary>
public sealed record YieldGuest(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Destination: the row says `committed` to this host. Permit, then run. Answered by <see cref="GuestResumed"/>.</summary>
public sealed record RunGuest(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source, after the guest runs elsewhere: end the guest process. Answered by <see cref="GuestReleased"/>.</summary>
public sealed record ReleaseGuest(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Source: the row says `aborted`; <see cref="AgentCommand.Fence"/> holds the raised epoch. Devices
/// back through the RunningP2P barrier, machine resumed. Answered by <see cref="GuestKept"/>.</summary>
public sealed record KeepGuest(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Destination: tear the incoming guest down. Answered by <see cref="IncomingDiscarded"/>.</summary>
public sealed record DiscardIncoming(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);

/// <summary>Destination, after `committed`, when its guest process died: raise its fence file under flock and say
/// whether it held a permit. Answered by <see cref="ProvenNeverRan"/> or <see cref="MayHaveRun"/>.</summary>
public sealed record ProveNeverRan(MigrationId Migration, GuestName Guest, Fence Fence)
    : AgentCommand(Migration, Guest, Fence);
