using MigrationCluster.Chaos.Planting;
using MigrationCluster.Chaos.Simulation;

namespace MigrationCluster.Chaos.Tests.Simulation;

public sealed class ShrinkerTests
{
    [Fact]
    public void What_is_left_breaks_the_same_and_nothing_of_it_can_be_left_out()
    {
        var build = PlantedBug.Find("epoch-in-memory")!.Build;
        var (seed, violation) = Enumerable.Range(1, 2000)
            .Select(seed => (Seed: seed, Violation: new SimulatedFleet(seed, build).Run()))
            .First(run => run.Violation is not null);
        var plan = Plan.Of(seed);

        var left = Shrinker.Shrink(seed, build, violation!);

        Assert.True(left.Count < plan.Incidents.Count, $"{left.Count} of {plan.Incidents.Count}");
        Assert.Equal(violation!.Invariant, Run(left));
        Assert.All(left, incident => Assert.NotEqual(violation.Invariant, Run([.. left.Where(other => other != incident)])));

        string? Run(IReadOnlyList<Incident> incidents) => new SimulatedFleet(seed, build, plan, incidents).Run()?.Invariant;
    }
}
