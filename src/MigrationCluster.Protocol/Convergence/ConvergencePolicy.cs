namespace MigrationCluster.Protocol.Convergence;

/// <summary>What an operator allows one migration.</summary>
/// <param name="MaxDowntime">the p99 of the whole downtime must fit.</param>
/// <param name="OnStall">what is done when pre-copy cannot bring the downtime under it.</param>
/// <param name="MaxIterations">passes of pre-copy.</param>
/// <param name="MaxTime">of pre-copy; null: no limit but that of passes.</param>
public sealed record ConvergencePolicy(
    TimeSpan MaxDowntime, StallAction OnStall = StallAction.Abort, int MaxIterations = ConvergencePolicy.DefaultIterations, TimeSpan? MaxTime = null)
{
    public const int DefaultIterations = 30;
}

public enum StallAction
{
    /// <summary>The migration ends; the guest runs on at the source.</summary>
    Abort = 0,

    /// <summary>The vCPUs are slowed until the downtime fits; where that cannot help, as abort.</summary>
    Throttle,

    /// <summary>The guest is paused for longer than the limit says, as short as it can be had.</summary>
    Switch,
}
