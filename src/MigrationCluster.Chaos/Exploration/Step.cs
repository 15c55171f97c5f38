namespace MigrationCluster.Chaos.Exploration;

internal enum StepKind
{
    Begin,
    Hear,
    HearThenDie,
    Deliver,
    Swap,
    SwapUnheard,
    DisplacedSwap,
    DisplacedHears,
    DisplacedDeadline,
    Deadline,
    Cancel,
    LimitBandwidth,
    CoordinatorDies,
    LeaseExpires,
    Perform,
    PerformSlowly,
    PerformThenDie,
    LateAnswer,
    DaemonDies,
    GuestDies,
    DeviceDies,
    NoticeDeath,
    Expires,
    KeepsItself,
    CutOff,
    Mend,
    HostDies,
    ProveDead,
}

/// <summary>One transition, as numbers; <see cref="Words"/> makes a line of it.</summary>
/// <param name="Side">0 source or coordinator, 1 destination; the host for what happens to a host.</param>
/// <param name="A">a number whose meaning the kind gives.</param>
internal readonly record struct Step(StepKind Kind, int Attempt, int Side = 0, int A = 0, int B = 0);
