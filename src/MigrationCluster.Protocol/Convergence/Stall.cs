namespace MigrationCluster.Protocol.Convergence;

/// <summary>Why pre-copy cannot bring the downtime under its limit, and what would.</summary>
/// <param name="Bottleneck">in words, with the numbers it follows from.</param>
/// <param name="ReachableMs">the p99 of the downtime that going on for ever would come to.</param>
/// <param name="Remedies">what each would do, in words with numbers; one that cannot help says so.</param>
/// <param name="ThrottlePercent">by how much slower vCPUs would do; null: none would.</param>
public sealed record Stall(StallCause Cause, string Bottleneck, double ReachableMs, IReadOnlyList<string> Remedies, int? ThrottlePercent)
{
    public override string ToString() => $"{Bottleneck}; {string.Join("; ", Remedies)}";
}

public enum StallCause
{
    /// <summary>RAM and device state are dirtied faster than they can be sent.</summary>
    DirtyRate = 0,

    /// <summary>A device has no dirty log, so every page it may write counts, in every pass.</summary>
    NoDirtyTracking,

    /// <summary>The final state of one device takes too long by itself.</summary>
    SlowDevice,

    /// <summary>An operator's bandwidth holds the passes up.</summary>
    CappedLink,

    /// <summary>Barriers, votes and the decision alone exceed the limit.</summary>
    FixedCosts,
}
