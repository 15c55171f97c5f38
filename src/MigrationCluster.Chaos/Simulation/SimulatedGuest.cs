using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>A guest process reduced to what ownership depends on: its fence file and its devices' states.</summary>
internal sealed class SimulatedGuest(HostName host, FenceRecord fence)
{
    private const MigrationCapabilities All =
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    private static readonly (string Name, MigrationCapabilities Capabilities, int Group)[] Kinds =
    [
        ("net0", All, 0), ("gpu0", All, 0), ("serial0", MigrationCapabilities.StopCopy, 1),
        (DeviceName.Machine.Value, MigrationCapabilities.StopCopy, 2),
    ];

    /// <summary>Outlives the process.</summary>
    public FenceRecord Fence { get; private set; } = fence;

    public bool Alive { get; private set; }

    public Dictionary<string, DeviceState> States { get; } = [];

    /// <summary>Starts the process; an incoming one's machine stands in Stop.</summary>
    public void Launch()
    {
        Alive = true;
        foreach (var kind in Kinds) States[kind.Name] = DeviceState.Running;
        if (Fence.Role == GuestRole.Incoming) States[DeviceName.Machine.Value] = DeviceState.Stop;
    }

    public void Die()
    {
        Alive = false;
        States.Clear();
    }

    public IReadOnlyList<PlannedDevice> Devices =>
        [.. Kinds.Select(kind => new PlannedDevice(
            new DeviceName(kind.Name), kind.Capabilities, kind.Group, States[kind.Name]))];

    public bool Bind(Fence fence)
    {
        if (Fence.TryRaise(fence) is not { } raised) return false;
        Fence = raised;
        return true;
    }

    public string? Cast(Vote vote, string? digest = null)
    {
        var (record, refusal) = Fence.TryCast(vote, digest);
        if (record is not null) Fence = record;
        return refusal;
    }

    /// <returns>null, or why the guest process refused.</returns>
    public string? Move(DeviceName device, DeviceState target)
    {
        var current = States[device.Value];
        var capabilities = Kinds.Single(kind => kind.Name == device.Value).Capabilities;
        if (current == target) return null;
        if (DeviceArcs.Next(current, target, capabilities) != target) return $"no arc {current} to {target}";
        // Kept is for the whole epoch: whoever runs again is not quiesced or stopped by orders still on their way.
        if (Fence.Kept && (current is DeviceState.Running or DeviceState.PreCopy) && target != DeviceState.Running)
            return $"the guest was kept at {Fence.Fence.Epoch}";
        bool starts = current == DeviceState.Stop && target is DeviceState.Running or DeviceState.RunningP2P;
        if (starts && !Fence.MayRun) return "the fence file does not let this guest run";
        States[device.Value] = target;
        return null;
    }

    /// <summary>The pause deadline passed and nobody yielded: the guest keeps itself.</summary>
    public void KeepItself()
    {
        if (Cast(Vote.Kept) is not null) return;
        foreach (string name in States.Keys.ToList())
            if (States[name] != DeviceState.PreCopy) States[name] = DeviceState.Running;
    }

    public HostObservation Observe() => new(
        host, Fence,
        Alive ? States[DeviceName.Machine.Value] : null,
        Alive ? States.Where(pair => pair.Key != DeviceName.Machine.Value).ToDictionary() : []);
}
