namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>A verdict without its reasons: what a matrix of a million pairs keeps of each. The greater, the better.</summary>
public enum VerdictKind
{
    /// <summary>One of the two hosts cannot make the class at all.</summary>
    Absent = 0,
    Incompatible = 1,
    Unknown = 2,
    Compatible = 3,
}

internal static class VerdictKinds
{
    internal static VerdictKind Kind(this Verdict verdict) => verdict switch
    {
        Compatible => VerdictKind.Compatible,
        Unknown => VerdictKind.Unknown,
        _ => VerdictKind.Incompatible,
    };
}
