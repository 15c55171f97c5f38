using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>What an operator writes to start a guest. Devices name templates of the host's configuration; a spec
/// never carries a model, a path or a command line.</summary>
/// <param name="MemoryMiB">guest RAM, 16 MiB to what the host has room for.</param>
public sealed record GuestSpec(string Name, int MemoryMiB, VcpuSpec Vcpus, IReadOnlyList<DeviceSpec> Devices);

/// <param name="Pattern">uniform, hotset or sequential.</param>
/// <param name="DirtyRateMiBps">MiB of pages written each second by all vCPUs together.</param>
public sealed record VcpuSpec(int Count, string Pattern, int DirtyRateMiBps);

/// <param name="Template">a device template of the host's configuration.</param>
/// <param name="PeerToPeer">names of devices of this guest that this device does P2P DMA into.</param>
/// <param name="PeerToPeerRemovable">those mappings may be removed while a migration has the guest stand still, if a device at either end
/// cannot be P2P-quiet: its writes are held meanwhile.</param>
public sealed record DeviceSpec(
    string Name, string Template, IReadOnlyList<string>? PeerToPeer = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool PeerToPeerRemovable = false);

public sealed record StartGuestRequest(string Host, GuestSpec Spec);

/// <param name="State">starting, running, paused, stopped, lost.</param>
/// <param name="Migration">the migration under way, or null.</param>
public sealed record GuestView(
    string Name,
    string Host,
    string State,
    ulong Epoch,
    string Decision,
    int MemoryMiB,
    GuestSpec Spec,
    string? Migration,
    IReadOnlyList<GuestDeviceView> Devices);

/// <param name="State">the VFIO device state, e.g. Running; with ", isolated" behind it: it was left behind by a way back to Running.</param>
/// <param name="Group">number of its P2P group, from 0.</param>
public sealed record GuestDeviceView(string Name, string Template, string State, int Group);

/// <summary>The guest's own account of itself: stamps of all pages against its version table, accumulators, DMA areas.</summary>
public sealed record SelfCheckView(
    long Pages, long Wrong, long PageWrites, long WorkErrors, long RegisterOperations, long Interrupts);

/// <param name="Templates">device templates this host can create, by name, with their model.</param>
public sealed record NodeView(
    string Name,
    string Address,
    bool Coordinator,
    bool Reachable,
    int MemoryMiB,
    int MemoryFreeMiB,
    IReadOnlyDictionary<string, string> Templates,
    IReadOnlyList<string> Guests)
{
    /// <summary>By guest: the migration that an incoming process here belongs to. The guest runs elsewhere still.</summary>
    public IReadOnlyDictionary<string, string> Incoming { get; init; } = new Dictionary<string, string>();

    /// <summary>Bytes per second of its outgoing transfers together; null: no limit.</summary>
    public long? MaxBytesPerSecond { get; init; }
}
