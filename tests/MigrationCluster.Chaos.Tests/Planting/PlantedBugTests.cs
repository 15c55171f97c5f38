using MigrationCluster.Chaos.Exploration;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Chaos.Simulation;

namespace MigrationCluster.Chaos.Tests.Planting;

/// <summary>A harness that misses these would miss their like. Those deep in the state space are left to `mc-chaos explore`.</summary>
public sealed class PlantedBugTests
{
    /// <summary>Need thousands of seeds, and are left to `mc-chaos simulate --planted`.</summary>
    private static readonly string[] Rare = ["dirty-log-lost", "lease-checked-before-write", "isolate-too-late"];

    public static TheoryData<string> Frequent => [.. PlantedBug.All.Select(bug => bug.Name).Except(Rare)];

    [Theory]
    [MemberData(nameof(Frequent))]
    public void The_simulation_finds_those_that_are_not_rare(string name)
    {
        var build = PlantedBug.Find(name)!.Build;
        Assert.Contains(Enumerable.Range(1, 2000), seed => new SimulatedFleet(seed, build).Run() is not null);
    }

    [Theory]
    [InlineData("empty-cache-is-absence", "SomebodyOwns")]
    [InlineData("lease-checked-before-write", "EveryMigrationTerminates")]
    [InlineData("epoch-in-memory", "EpochsOnlyGrow")]
    [InlineData("stop-before-quiet", "QuiescedBeforeStopped")]
    public void Exploring_finds_the_shallow_ones_and_names_what_they_break(string name, string invariant)
    {
        var bug = PlantedBug.Find(name)!;
        var explorer = new Explorer(Configuration.All.Single(each => each.Name == bug.Configuration), bug.Build);
        Assert.Equal(invariant, explorer.Run(100_000)?.Violation.Invariant);
    }

    [Fact]
    public void Every_one_is_in_reach_of_a_named_configuration() =>
        Assert.All(PlantedBug.All, bug => Assert.Contains(Configuration.All, each => each.Name == bug.Configuration));
}
