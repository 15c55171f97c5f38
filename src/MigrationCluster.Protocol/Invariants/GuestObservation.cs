using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Invariants;

/// <summary>One guest as an observer sees it on every host at one moment: in a simulation, a chaos run, a live fleet.</summary>
/// <param name="Row">the row, as stored.</param>
public sealed record GuestObservation(GuestRow Row, IReadOnlyList<HostObservation> Hosts);

/// <param name="Fence">the content of the fence file there.</param>
/// <param name="Machine">state of the vCPUs; null where no guest process lives.</param>
/// <param name="Devices">states by device name; empty where no guest process lives.</param>
public sealed record HostObservation(
    HostName Host, FenceRecord Fence, DeviceState? Machine, IReadOnlyDictionary<string, DeviceState> Devices)
{
    /// <summary>Runs the machine, or a device that is not masterless: a fresh destination device does not count.</summary>
    public bool Runs => Machine == DeviceState.Running
        || (Fence.Role == GuestRole.Owner && Devices.Values.Any(IsRunning));

    internal static bool IsRunning(DeviceState state) =>
        state is DeviceState.Running or DeviceState.RunningP2P or DeviceState.PreCopy or DeviceState.PreCopyP2P;
}
