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
        if (FencedArc.Refusal(Record, who, from, to) is { } reason) throw Refuse(reason);
    }

    /// <exception cref="DeviceRefusedException">EPERM: the device belongs to a guest that runs here.</exception>
    public void RequireResettable(string who, DeviceState state)
    {
        if (Record.Role == GuestRole.Owner && state != DeviceState.Error)
            throw Refuse($"{who} must not be reset: this process owns the guest at {Record.Fence.Epoch}");
    }

    private static DeviceRefusedException Refuse(string reason) => new(reason, Errno.EPERM);
}
