using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// The way from stopped to Running for all devices of a guest, on either side: every P2P-capable member stands in
/// RunningP2P (or runs) before any is asked for Running, so that no device starts P2P DMA into a stopped peer. A
/// device without P2P support is alone in its group and goes with the second step.
///
/// <code>
///   1. members that stand still -> RunningP2P      one that refuses, or takes too long, is given up
///   2. given up, or in Error    -> isolated        nothing of it is mapped for a peer any more, nothing of a peer for it,
///                                                  and the machine does not wait for it
///   3. all others               -> Running
/// </code>
/// A device that is given up may stand anywhere, and where is not always known: that is why the others run only once it is isolated.
/// They are P2P-quiet then, which is a state in which every back end lets mappings go.
/// </summary>
public static class RunningBarrier
{
    /// <summary>What to ask for now; empty when every device runs, or is left behind for good.</summary>
    public static IReadOnlyList<BarrierStep> Next(IReadOnlyCollection<PlannedDevice> devices)
    {
        var stopped = devices.Where(device => HasP2P(device) && IsStopped(device.State) && !IsLeftBehind(device)).ToList();
        if (stopped.Count > 0)
            return [.. stopped.Select(device => new BarrierStep.Move(device, Arc(device, DeviceState.RunningP2P)))];
        var open = devices.Where(device => IsLeftBehind(device) && device.Standing != MemberStanding.Isolated).ToList();
        if (open.Count > 0) return [.. open.Select(device => new BarrierStep.Isolate(device))];
        return
        [
            .. devices.Where(device => device.State != DeviceState.Running && !IsLeftBehind(device))
                .Select(device => new BarrierStep.Move(device, Arc(device, DeviceState.Running))),
        ];
    }

    /// <summary>Whether nothing is left to ask for.</summary>
    public static bool IsOver(IReadOnlyCollection<PlannedDevice> devices) => Next(devices).Count == 0;

    public static DeviceState Arc(PlannedDevice device, DeviceState target) =>
        DeviceArcs.Next(device.State, target, device.Capabilities)
            ?? throw new InvalidOperationException(
                $"no way for {device.Name} from {device.State} to {target} with {device.Capabilities}");

    public static bool HasP2P(PlannedDevice device) => device.Capabilities.HasFlag(MigrationCapabilities.P2P);

    /// <summary>The others go on without it.</summary>
    public static bool IsLeftBehind(PlannedDevice device) =>
        device.Standing != MemberStanding.Member || device.State == DeviceState.Error;

    private static bool IsStopped(DeviceState state) =>
        state is DeviceState.Stop or DeviceState.StopCopy or DeviceState.Resuming;
}

/// <summary>One step of the way back.</summary>
public abstract record BarrierStep
{
    private protected BarrierStep(PlannedDevice device) => Device = device;

    public PlannedDevice Device { get; }

    public sealed record Move(PlannedDevice Member, DeviceState Target) : BarrierStep(Member);

    public sealed record Isolate(PlannedDevice Member) : BarrierStep(Member);
}
