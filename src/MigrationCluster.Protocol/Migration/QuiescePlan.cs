namespace MigrationCluster.Protocol.Migration;

/// <summary>How the devices of one guest come to a stand, and run again on the other side.</summary>
/// <param name="Groups">groups of more than one member, each with its members' names.</param>
/// <param name="Unmapped">edges whose mapping is removed from the pause until the machine resumes.</param>
/// <param name="Steps">in order. What has the same <see cref="QuiesceStep.Stage"/> goes side by side, and a stage begins only when the one
/// before it has ended.</param>
public sealed record QuiescePlan(
    IReadOnlyList<IReadOnlyList<string>> Groups, IReadOnlyList<PeerEdge> Unmapped, IReadOnlyList<QuiesceStep> Steps)
{
    /// <summary>What each unmapped edge costs, in words.</summary>
    public IEnumerable<string> Costs => Unmapped.Select(edge =>
        $"P2P DMA of {edge} is unmapped for the whole downtime: {edge.From}'s writes are held from the pause until the machine resumes");
}

/// <param name="Device">null: the machine, or all of what the stage is about.</param>
/// <param name="Limit">after which this member has failed; null: the stage has no limit of its own.</param>
public sealed record QuiesceStep(QuiesceStage Stage, string? Device, TimeSpan? Limit);

/// <summary>The order that no migration departs from; the second half is the destination's.</summary>
public enum QuiesceStage
{
    /// <summary>The vCPUs: from here on nobody touches a register.</summary>
    PauseMachine = 0,

    /// <summary>Edges of members that cannot be quiet.</summary>
    UnmapEdges,

    /// <summary>No member of any group starts P2P DMA any more; all still take it.</summary>
    Quiet,

    Stop,

    /// <summary>Until a device has stopped it may write RAM: bitmaps read before that are not the last.</summary>
    ReadLastBitmaps,

    /// <summary>RunningP2P on the side that runs the guest.</summary>
    Return,

    Run,

    MapEdges,

    ResumeMachine,
}
