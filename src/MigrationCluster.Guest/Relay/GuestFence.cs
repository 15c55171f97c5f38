using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>Where fencing bites: what the guest's fence record allows the endpoints to be asked for.</summary>
internal sealed class GuestFence(FenceFile file)
{
    public FenceRecord Record => file.Record!;

    /// <summary>Binds a session of one endpoint; the whole guest moves to its fence.</summary>
    /// <exception cref="DeviceRefusedException">EPERM: another guest, or an older fence.</exception>
    public void Bind(GuestName guest, Fence fence)
    {
        if (guest != Record.Guest) throw Refuse($"guest {Record.Guest} lives here, not {guest}");
        if (file.TryRaise(fence) is null) throw Refuse($"fence {fence} is older than {Record.Fence}");
    }

    /// <exception cref="DeviceRefusedException">EPERM: a newer session was bound at another endpoint of this guest.</exception>
    public void RequireCurrent(Fence? bound)
    {
        if (bound is { } fence && fence < Record.Fence) throw Refuse($"session {fence} was pre-empted by {Record.Fence}");
    }

    /// <exception cref="DeviceRefusedException">EPERM with the reason why the record excludes the vote.</exception>
    public FenceRecord Cast(Vote vote, string? digest)
    {
        var (record, refusal) = file.TryCast(vote, digest);
        return record ?? throw Refuse(refusal!);
    }

    /// <summary>Whether a device (or the machine) may go where it is asked to.</summary>
    /// <exception cref="DeviceRefusedException">EPERM: the record excludes it.</exception>
    public void RequireTransition(string who, DeviceState from, DeviceState to)
    {
        var record = Record;
        if (IsStopped(from) && IsRunning(to) && !record.MayRun)
            throw Refuse($"{who} must not leave {from} for {to}: {Standing(record)}");
        if (to == DeviceState.Resuming && record.Role != GuestRole.Incoming)
            throw Refuse($"{who} must not be loaded: this process owns the guest at {record.Fence.Epoch}");
        // The way back from StopCopy leads through Stop; from a running state only other running ones are left.
        bool back = IsStopped(from) ? to is DeviceState.Stop or DeviceState.Running or DeviceState.RunningP2P
            : to is DeviceState.Running or DeviceState.RunningP2P;
        if (record.Kept && !back)
            throw Refuse($"{who} stays running: the guest voted Kept({record.Fence.Epoch})");
    }

    /// <exception cref="DeviceRefusedException">EPERM: the device belongs to a guest that runs here.</exception>
    public void RequireResettable(string who, DeviceState state)
    {
        if (Record.Role == GuestRole.Owner && state != DeviceState.Error)
            throw Refuse($"{who} must not be reset: this process owns the guest at {Record.Fence.Epoch}");
    }

    public static bool IsStopped(DeviceState state) =>
        state is DeviceState.Stop or DeviceState.StopCopy or DeviceState.Resuming;

    public static bool IsRunning(DeviceState state) =>
        state is DeviceState.Running or DeviceState.RunningP2P or DeviceState.PreCopy or DeviceState.PreCopyP2P;

    private static string Standing(FenceRecord record) =>
        record.Yielded ? $"the guest voted Yielded({record.Fence.Epoch})" : $"no permit({record.Fence.Epoch}) was given";

    private static DeviceRefusedException Refuse(string reason) => new(reason, Errno.EPERM);
}
