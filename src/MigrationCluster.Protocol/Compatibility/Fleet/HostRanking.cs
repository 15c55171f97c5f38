using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>One host as a destination for a whole guest.</summary>
/// <param name="Verdict">the worst of its devices' verdicts; Absent: it cannot make one of the classes.</param>
/// <param name="Return">the worst of the ways back; Absent where the verdict is not Compatible.</param>
/// <param name="Rank">what orders compatible hosts: dropped sections of all devices, minor steps and bugfix of the worst.</param>
/// <param name="Devices">one a device of the guest, in its order.</param>
public sealed record HostRanking(
    HostName Host, VerdictKind Verdict, VerdictKind Return, CompatibilityRank Rank, IReadOnlyList<DeviceRanking> Devices);

/// <param name="Judgement">with every reason.</param>
/// <param name="Return">
/// whether the device it would be there could come back to the host it is on; null: not judged, since the guest cannot go there, or the
/// host it is on offers no such class (then it cannot come back either).
/// </param>
public sealed record DeviceRanking(string Device, string Class, Judgement Judgement, Judgement? Return);
