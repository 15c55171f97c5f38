using System.Collections.Immutable;
using MigrationCluster.Chaos.Model;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>What is explored: one guest on two hosts, and how many faults of each kind may happen on one path.</summary>
/// <param name="Story">in words, for the operator.</param>
/// <param name="Attempts">migrations that may follow each other.</param>
/// <param name="Crashes">deaths of a daemon, the coordinator or a guest process, all together.</param>
/// <param name="Takeovers">expired leases: another coordinator carries on, the displaced one still lives.</param>
/// <param name="HostDeaths">a host dies for good, with its daemon, its guest process and what its agent had not told; the operator
/// proves it dead at any time later.</param>
/// <param name="DeviceDeaths">a device server of the incoming guest dies before the guest is permitted to run there.</param>
/// <param name="Partitions">times that one host is cut off from everybody.</param>
/// <param name="Failures">effects that meet an operating failure, or setup records that are refused.</param>
/// <param name="SlowAnswers">effects whose end the agent hears of only later, whatever it was told meanwhile.</param>
/// <param name="Bandwidths">times that the operator chooses another bandwidth.</param>
/// <param name="Passes">most passes of pre-copy.</param>
/// <param name="Deadlines">a phase's deadline, the paused guest's own, and the time that an incoming guest is kept may pass at any time.</param>
/// <param name="From">until the first migration is here nothing goes wrong: a bounded run then is not spent on what comes before.</param>
internal sealed record Configuration(
    string Name, string Story, ImmutableArray<PlannedDevice> Shape, int Attempts = 1, int Crashes = 0, int Takeovers = 0,
    int Cancels = 0, int Partitions = 0, int Failures = 0, int SlowAnswers = 0, int Passes = 1, bool Deadlines = false, int HostDeaths = 0,
    int DeviceDeaths = 0, int Bandwidths = 0,
    MigrationPhase From = MigrationPhase.Preparing)
{
    /// <summary>All but the last two are explored to the end; those are for as many states as there is time for.</summary>
    public static readonly IReadOnlyList<Configuration> All =
    [
        new("one-coordinator-two-crashes",
            "two hosts, one coordinator, a pair of devices; any two of daemons, coordinator and guest processes die",
            GuestShape.Pair, Crashes: 2, Deadlines: true),
        new("two-coordinators",
            "the lease expires twice under a coordinator that goes on living; one crash, one cancel",
            GuestShape.Single, Crashes: 1, Takeovers: 2, Cancels: 1, Deadlines: true),
        new("group-of-three",
            "three devices that do P2P DMA into each other; a partition and a cancel",
            GuestShape.GroupOfThree, Cancels: 1, Partitions: 1, Deadlines: true),
        new("two-attempts",
            "a second migration after the first, back or again, with everything of the first still in flight; one crash",
            GuestShape.Single, Attempts: 2, Crashes: 1, Deadlines: true),
        new("host-proven-dead",
            "a whole host dies for good and the operator proves it, at any time later; one crash, one expired lease, one cancel",
            GuestShape.Single, Crashes: 1, Takeovers: 1, Cancels: 1, HostDeaths: 1, Deadlines: true),
        new("failing-effects",
            "any two effects fail, before or after they acted, and one answer is slow",
            GuestShape.Pair, Crashes: 0, Failures: 2, SlowAnswers: 1, Passes: 2, Deadlines: true),
        new("device-server-dies",
            "a device server of the incoming guest dies, at any time before the permit; one crash, one expired lease, one cancel",
            GuestShape.Single, Crashes: 1, Takeovers: 1, Cancels: 1, DeviceDeaths: 1, Deadlines: true),
        new("bandwidth-changes",
            "the operator chooses another bandwidth twice, at any time; one crash, one expired lease",
            GuestShape.Single, Crashes: 1, Takeovers: 1, Bandwidths: 2),
        new("everything",
            "every fault there is, on a second attempt too: explored to a bound",
            GuestShape.Pair, Attempts: 2, Crashes: 2, Takeovers: 1, Cancels: 1, Partitions: 1, Failures: 1, SlowAnswers: 1,
            Passes: 2, HostDeaths: 1, DeviceDeaths: 1, Deadlines: true),
        new("from-switchover",
            "from the moment the source is told to switch over: two deaths, a dead host, an expired lease, a cancel, a partition, a failing effect",
            GuestShape.Single, Crashes: 2, Takeovers: 1, Cancels: 1, Partitions: 1, Failures: 1, HostDeaths: 1, Deadlines: true,
            From: MigrationPhase.Quiescing),
    ];
}
