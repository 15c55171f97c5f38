using System.Diagnostics;
using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Protocol.Coordinator;

namespace MigrationCluster.Chaos.Tests.Simulation;

public sealed class SimulatedFleetTests
{
    [Fact]
    public void A_thousand_seeds_keep_every_invariant()
    {
        var outcomes = new HashSet<MigrationPhase>();
        for (int seed = 1; seed <= 1000; seed++)
        {
            var fleet = new SimulatedFleet(seed);
            var violation = fleet.Run();
            Assert.True(violation is null, $"seed {seed}: {violation}");
            outcomes.UnionWith(fleet.Outcomes);
        }

        // The faults reach every end there is.
        Assert.Superset(
            new HashSet<MigrationPhase>
            {
                MigrationPhase.Completed, MigrationPhase.Failed, MigrationPhase.Cancelled, MigrationPhase.GuestLost,
            },
            outcomes);
    }

    /// <summary>Each of these seeds once broke something of the product; docs/simulation.md says what.</summary>
    [Theory]
    [InlineData(4183)]
    [InlineData(6056)]
    [InlineData(11063)]
    [InlineData(14870)]
    [InlineData(25148)]
    public void A_seed_that_once_broke_something_no_longer_does(int seed)
    {
        var plan = Plan.Of(seed);
        // As it was then: operators chose no bandwidths.
        Assert.Null(new SimulatedFleet(seed, plan: plan, only:
            [.. plan.Incidents.Where(incident => !incident.Words.Contains("bandwidth", StringComparison.Ordinal))]).Run());
    }

    [Theory]
    [InlineData(7)]
    [InlineData(12)]
    public void The_same_seed_is_the_same_run_to_the_last_turn(int seed)
    {
        var (first, second) = (new SimulatedFleet(seed, tells: true), new SimulatedFleet(seed));
        first.Run();
        second.Run();
        Assert.NotEmpty(first.Story);
        Assert.Equal((first.Hash, first.Events, first.Elapsed), (second.Hash, second.Events, second.Elapsed));
        Assert.NotEqual(first.Hash, Hash(seed + 1));
    }

    /// <summary>Text hashes differently in every process; nothing of a run may depend on that.</summary>
    [Fact]
    public void The_same_seeds_are_the_same_runs_in_another_process()
    {
        var totals = new SimulationTotals();
        for (int seed = 30; seed < 40; seed++)
        {
            var fleet = new SimulatedFleet(seed);
            fleet.Run();
            totals.Add(seed, fleet);
        }

        string dll = typeof(SimulatedFleet).Assembly.Location;
        using var other = Process.Start(new ProcessStartInfo("dotnet", ["exec", dll, "simulate", "--seed", "30", "--count", "10"])
        {
            RedirectStandardOutput = true,
        })!;
        string said = other.StandardOutput.ReadToEnd();
        other.WaitForExit();
        Assert.Contains($"trace {totals.Hash:x16}", said, StringComparison.Ordinal);
    }

    private static ulong Hash(int seed)
    {
        var fleet = new SimulatedFleet(seed);
        fleet.Run();
        return fleet.Hash;
    }
}
