using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Ownership;

/// <summary>A vote a guest process casts durably about one epoch.</summary>
public enum Vote
{
    /// <summary>Destination: holds every page and every device's stream, loaded, in Stop.</summary>
    Verified = 1,

    /// <summary>Source: keeps the guest; excludes <see cref="Yielded"/> of the same epoch for ever.</summary>
    Kept = 2,

    /// <summary>Source: gave the guest up; runs it again only under a higher epoch (a decision `aborted`).</summary>
    Yielded = 3,

    /// <summary>Destination: was told `committed`; from here on it may run.</summary>
    Permit = 4,
}

/// <summary>What a guest process is to the guest it holds.</summary>
public enum GuestRole
{
    /// <summary>Launched to receive; owns nothing until its permit.</summary>
    Incoming = 1,

    /// <summary>Started by `guest start` or permitted after a migration.</summary>
    Owner = 2,
}

/// <summary>
/// The content of a guest process's fence file: who may command it and what it has promised. The file outlives
/// the process, because a dead process guards nothing.
///
/// <code>
///   Incoming --Verified(e)--> Incoming+Verified --Permit(e)--> Owner      raise(e+1): votes of e are void,
///   Owner    --Kept(e)--> may run, never yields e                          so no Permit(e) can follow
///   Owner    --Yielded(e)--> must not run until raise(e+1)
/// </code>
/// Invariants: the fence only grows (EpochsOnlyGrow); Kept and Yielded exclude each other within an epoch;
/// Permit needs Verified of the same epoch.
/// </summary>
public sealed record FenceRecord(
    GuestName Guest,
    Fence Fence,
    GuestRole Role,
    string? VerifiedDigest = null,
    bool Kept = false,
    bool Yielded = false,
    bool Permitted = false)
{
    /// <summary>Whether the machine and the devices may leave Stop for a running state.</summary>
    public bool MayRun => Role == GuestRole.Owner && !Yielded;

    /// <summary>Binds a session. An equal or higher fence pre-empts; an older one is refused.</summary>
    /// <returns>the record to store, or null when <paramref name="fence"/> is older than this record's.</returns>
    public FenceRecord? TryRaise(Fence fence)
    {
        if (fence < Fence) return null;
        if (fence.Epoch == Fence.Epoch) return this with { Fence = fence };
        return this with { Fence = fence, VerifiedDigest = null, Kept = false, Yielded = false, Permitted = false };
    }

    /// <summary>Casts a vote about the current epoch. Casting the same vote again changes nothing.</summary>
    /// <param name="digest">required with <see cref="Vote.Verified"/>: the manifest digest agreed on.</param>
    /// <returns>the record to store, or the reason why not.</returns>
    public (FenceRecord? Record, string? Refusal) TryCast(Vote vote, string? digest = null) => vote switch
    {
        Vote.Verified when Role != GuestRole.Incoming => No("only an incoming guest process votes Verified"),
        Vote.Verified when string.IsNullOrEmpty(digest) => No("Verified needs the manifest's digest"),
        Vote.Verified when VerifiedDigest is not null && VerifiedDigest != digest =>
            No($"already Verified with digest {VerifiedDigest}, not {digest}"),
        Vote.Verified => Yes(this with { VerifiedDigest = digest }),
        Vote.Kept when Role != GuestRole.Owner => No("only the owner can keep the guest"),
        Vote.Kept when Yielded => No($"already Yielded({Fence.Epoch})"),
        Vote.Kept => Yes(this with { Kept = true }),
        Vote.Yielded when Role != GuestRole.Owner => No("only the owner can yield the guest"),
        Vote.Yielded when Kept => No($"already Kept({Fence.Epoch})"),
        Vote.Yielded => Yes(this with { Yielded = true }),
        Vote.Permit when Permitted => Yes(this),
        Vote.Permit when Role != GuestRole.Incoming => No("only an incoming guest process takes a permit"),
        Vote.Permit when VerifiedDigest is null => No($"has not voted Verified({Fence.Epoch})"),
        Vote.Permit => Yes(this with { Permitted = true, Role = GuestRole.Owner }),
        _ => No($"unknown vote {(int)vote}"),
    };

    private static (FenceRecord?, string?) Yes(FenceRecord record) => (record, null);

    private static (FenceRecord?, string?) No(string reason) => (null, reason);
}
