using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;

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

    [Fact]
    public void The_same_seed_tells_the_same_story()
    {
        var (first, second) = (new SimulatedFleet(7), new SimulatedFleet(7));
        first.Run();
        second.Run();
        Assert.Equal(first.Story, second.Story);
    }
}
