using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// The way from stopped to Running for all devices of a guest, on either side: every P2P-capable member stands in
/// RunningP2P (or runs) before any is asked for Running, so that no device starts P2P DMA into a stopped peer. A
/// device without P2P support is alone in its group and goes with the second step.
/// </summary>
public static class RunningBarrier
{
    /// <summary>The arcs to ask for now; empty when every device runs. A device in Error is left where it is.</summary>
    public static IEnumerable<(PlannedDevice Device, DeviceState Target)> Next(IReadOnlyCollection<PlannedDevice> devices)
    {
        var stopped = devices.Where(device => HasP2P(device) && IsStopped(device.State)).ToList();
        if (stopped.Count > 0)
            return stopped.Select(device => (device, Arc(device, DeviceState.RunningP2P)));
        return devices
            .Where(device => device.State is not (DeviceState.Running or DeviceState.Error))
            .Select(device => (device, Arc(device, DeviceState.Running)));
    }

    public static DeviceState Arc(PlannedDevice device, DeviceState target) =>
        DeviceArcs.Next(device.State, target, device.Capabilities)
            ?? throw new InvalidOperationException(
                $"no way for {device.Name} from {device.State} to {target} with {device.Capabilities}");

    public static bool HasP2P(PlannedDevice device) => device.Capabilities.HasFlag(MigrationCapabilities.P2P);

    private static bool IsStopped(DeviceState state) =>
        state is DeviceState.Stop or DeviceState.StopCopy or DeviceState.Resuming;
}
