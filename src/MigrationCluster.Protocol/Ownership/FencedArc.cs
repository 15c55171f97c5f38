using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Ownership;

/// <summary>What a guest's fence record lets its devices and its machine be asked for.</summary>
public static class FencedArc
{
    /// <param name="who">the device, or the machine, in words.</param>
    /// <returns>why it may not go where it is asked to; null when it may.</returns>
    public static string? Refusal(FenceRecord record, string who, DeviceState from, DeviceState to)
    {
        if (IsStopped(from) && IsRunning(to) && !record.MayRun)
            return $"{who} must not leave {from} for {to}: {Standing(record)}";
        if (to == DeviceState.Resuming && record.Role != GuestRole.Incoming)
            return $"{who} must not be loaded: this process owns the guest at {record.Fence.Epoch}";
        // The way back from StopCopy leads through Stop; from a running state only other running ones are left.
        bool back = IsStopped(from) ? to is DeviceState.Stop or DeviceState.Running or DeviceState.RunningP2P
            : to is DeviceState.Running or DeviceState.RunningP2P;
        return record.Kept && !back ? $"{who} stays running: the guest voted Kept({record.Fence.Epoch})" : null;
    }

    public static bool IsStopped(DeviceState state) =>
        state is DeviceState.Stop or DeviceState.StopCopy or DeviceState.Resuming;

    public static bool IsRunning(DeviceState state) =>
        state is DeviceState.Running or DeviceState.RunningP2P or DeviceState.PreCopy or DeviceState.PreCopyP2P;

    private static string Standing(FenceRecord record) =>
        record.Yielded ? $"the guest voted Yielded({record.Fence.Epoch})" : $"no permit({record.Fence.Epoch}) was given";
}
