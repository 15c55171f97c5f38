using MigrationCluster.Api;

namespace MigrationCluster.Node.Guests;

/// <summary>A guest spec as far as it could be read: what is wrong elsewhere must not hide what is wrong here.</summary>
/// <param name="Spec">the whole spec; null when anything is wrong with its shape.</param>
/// <param name="MemoryMiB">null when it could not be read.</param>
/// <param name="Reasons">everything wrong with the spec itself.</param>
public sealed record SpecDraft(
    GuestSpec? Spec, string? Name, int? MemoryMiB, IReadOnlyList<DeviceDraft> Devices, IReadOnlyList<Reason> Reasons);

/// <param name="Path">where it stands, e.g. $.devices[1].</param>
public sealed record DeviceDraft(string Path, string? Name, string? Template, IReadOnlyList<string> PeerToPeer, bool Removable);
