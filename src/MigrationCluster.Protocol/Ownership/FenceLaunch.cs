using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Ownership;

/// <summary>Whether a guest process may be launched over what the fence file of its directory says.</summary>
/// <remarks>
/// A launch at a higher epoch starts a new story. At the stored epoch only what has promised nothing may start again: a
/// second process could otherwise answer for votes of the first, whose memory is gone.
/// </remarks>
public static class FenceLaunch
{
    /// <returns>the record to store, or the reason why not.</returns>
    public static (FenceRecord? Record, string? Refusal) Decide(FenceRecord? stored, GuestName guest, Fence fence, bool incoming)
    {
        var fresh = new FenceRecord(guest, fence, incoming ? GuestRole.Incoming : GuestRole.Owner);
        if (stored is null) return (fresh, null);
        if (stored.Guest != guest) return No($"the fence file is of guest {stored.Guest}, not of {guest}");
        if (fence < stored.Fence) return No($"the fence file says {stored.Fence}, newer than {fence}");
        if (fence.Epoch > stored.Fence.Epoch) return (fresh, null);
        if (stored.Yielded) return No($"the fence file says Yielded({stored.Fence.Epoch}): another host may run {guest}");
        if (incoming)
            return stored.Role != GuestRole.Incoming ? No($"this host owns {guest} at {stored.Fence.Epoch}")
                : stored.VerifiedDigest is not null ? No($"the fence file says Verified({stored.Fence.Epoch}) of a process that is gone")
                : (stored with { Fence = fence }, null);
        return stored.Role == GuestRole.Owner
            ? (stored with { Fence = fence }, null)
            : No($"the fence file says {guest} is incoming at {stored.Fence.Epoch} and holds no permit");
    }

    private static (FenceRecord?, string?) No(string reason) => (null, reason);
}
