using MigrationCluster.Api;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Agents;

/// <summary>An agent tells a coordinator that it is there: first, and again every few seconds.</summary>
/// <param name="Offers">digest of its <see cref="AgentOffers"/>; null: a release that has none.</param>
/// <param name="FreeMiB">memory for guests not taken by one; null: an earlier release.</param>
public sealed record AgentHello(
    HostName Name, string NodeId, string Address, int WireVersion, string? Offers = null, int? FreeMiB = null);

/// <summary>The reply to an event read.</summary>
/// <param name="Events">numbered above what was asked for, in order; empty when the wait ran out.</param>
public sealed record EventBatch(IReadOnlyList<NumberedAgentEvent> Events, IReadOnlyList<AgentProgress> Progress);

/// <param name="SpecJson">the guest spec as the operator wrote it.</param>
/// <param name="Fence">what the guest is started at; the fence file refuses one older than its own.</param>
public sealed record StartOrder(string SpecJson, Fence Fence);

/// <summary>Asks whether a guest of this spec could live on the host.</summary>
/// <param name="Configuration">of its running devices, where it would come from another host; null: it would start there.</param>
public sealed record AdmitOrder(string SpecJson, IReadOnlyList<DeviceConfiguration>? Configuration = null);

/// <param name="Fence">raised above the guest's, so that nobody else commands it any more.</param>
public sealed record StopOrder(Fence Fence);

/// <summary>What of guests and migrations is on a host: of dead guests and abandoned sessions too.</summary>
/// <param name="Sessions">those that have not ended.</param>
public sealed record HostTraces(IReadOnlyList<GuestTrace> Guests, IReadOnlyList<SessionTrace> Sessions);

/// <summary>One guest's directory on a host.</summary>
/// <param name="Fence">as its file reads; null: there is none, or it cannot be read.</param>
/// <param name="Problem">why the file cannot be read; null when it can.</param>
/// <param name="Processes">ids of its guest process and device servers that live.</param>
public sealed record GuestTrace(GuestName Guest, FenceRecord? Fence, string? Problem, IReadOnlyList<int> Processes);

/// <summary>One side of a migration that an agent still works on, or waits with for orders.</summary>
/// <param name="Failure">why it waits; null while all is well.</param>
public sealed record SessionTrace(MigrationId Migration, Side Side, GuestName Guest, Fence Fence, string Phase, string? Failure);

/// <param name="Reasons">every reason why not; empty: it could.</param>
public sealed record Admission(IReadOnlyList<Reason> Reasons);

/// <summary>What a host has and holds.</summary>
/// <param name="FreeMiB">memory for guests not taken by one, running or incoming.</param>
/// <param name="MaxBytesPerSecond">of its outgoing transfers together; null: no limit.</param>
public sealed record Inventory(
    HostName Name,
    int MemoryMiB,
    int FreeMiB,
    IReadOnlyDictionary<string, DeviceTemplate> Templates,
    IReadOnlyList<HostedGuestState> Guests,
    long? MaxBytesPerSecond = null);

/// <summary>A guest process on a host.</summary>
/// <param name="Fence">its fence record; null when it did not answer.</param>
/// <param name="Problem">why it did not answer; null when it did.</param>
/// <param name="Migration">it came, or is to come, with; null: it was started here, or does not say.</param>
/// <param name="Machine">state of the machine; null when it did not answer.</param>
public sealed record HostedGuestState(
    GuestName Guest, int MemoryMiB, bool Incoming, FenceRecord? Fence, DeviceState? Machine,
    IReadOnlyList<HostedDeviceState> Devices, string? Problem, string? Migration = null);

/// <param name="State">null when the device did not answer.</param>
/// <param name="Group">number of its P2P group, from 0.</param>
/// <param name="Isolated">it was left behind by a way back to Running: nothing of it is mapped for a peer any more.</param>
public sealed record HostedDeviceState(DeviceName Name, string Model, DeviceState? State, int Group, bool Isolated = false);
