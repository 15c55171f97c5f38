using MigrationCluster.Chaos.Exploration;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Tests.Exploration;

public sealed class ExplorerTests
{
    [Fact]
    public void The_smallest_configuration_is_explored_to_the_end_and_breaks_nothing()
    {
        var explorer = Explore("group-of-three", Build.Product, long.MaxValue, out var finding);
        Assert.True(finding is null, Tell(finding));
        Assert.Equal(0, explorer.Frontier);
        // A change of a machine or of the model that loses most of them shows here.
        Assert.InRange(explorer.States, 200_000, 600_000);

        // It went everywhere, not only where nothing happens.
        Assert.Superset(
            new HashSet<string> { "Completed", "Failed", "Committing", "Resuming", "RollingBack" }, explorer.Phases().Keys.ToHashSet());
    }

    [Theory]
    [InlineData("one-coordinator-two-crashes")]
    [InlineData("two-coordinators")]
    [InlineData("two-attempts")]
    [InlineData("host-proven-dead")]
    [InlineData("failing-effects")]
    [InlineData("bandwidth-changes")]
    [InlineData("everything")]
    [InlineData("from-switchover")]
    public void Larger_ones_break_nothing_up_to_a_bound(string name)
    {
        var explorer = Explore(name, Build.Product, 60_000, out var finding);
        Assert.True(finding is null, Tell(finding));
        Assert.NotEqual(0, explorer.Frontier);
    }

    [Fact]
    public void A_violation_is_told_by_its_shortest_trace_a_line_a_step()
    {
        Explore("group-of-three", PlantedBug.Find("stop-before-quiet")!.Build, long.MaxValue, out var finding);
        Assert.Equal("QuiescedBeforeStopped", finding!.Violation.Invariant);
        Assert.Equal(30, finding.Trace.Count);
        Assert.Equal("network: PrepareDestination (e2, t1) arrives at the destination", finding.Trace[0]);
        Assert.Equal("source agent: moves gpu0 to StopCopy", finding.Trace[^1]);
        Assert.Equal("coordinator: hears DestinationPrepared of the destination -> Negotiating", finding.Trace[2]);
    }

    [Fact]
    public void The_same_configuration_is_explored_the_same_way()
    {
        var first = Explore("one-coordinator-two-crashes", Build.Product, 20_000, out _);
        var second = Explore("one-coordinator-two-crashes", Build.Product, 20_000, out _);
        Assert.Equal((first.Depth, first.Frontier, first.HealedStates), (second.Depth, second.Frontier, second.HealedStates));
    }

    /// <summary>The model leaves most of a feed out of its states because no coordinator changes by it: so it must be.</summary>
    [Fact]
    public void No_state_of_a_coordinator_changes_by_an_event_that_the_model_passes_over()
    {
        var space = Explore("one-coordinator-two-crashes", Build.Product, 60_000, out _).Space;
        var passedOver = Enumerable.Range(1, space.AgentEvents.Count).Select(number => space.AgentEvents[number])
            .Where(AgentMoves.IsPassedOver).ToList();
        Assert.NotEmpty(passedOver);
        for (int state = 1; state <= space.Coordinators.States.Count; state++)
            foreach (AgentEvent e in passedOver)
            {
                int command = space.Coordinators.Commands.Of(new CoordinatorCommand.Hear(e, default));
                Assert.Equal(state, space.Coordinators.Step(state, command).State);
            }
    }

    private static Explorer Explore(string name, Build build, long states, out Finding? finding)
    {
        var explorer = new Explorer(Configuration.All.Single(each => each.Name == name), build);
        finding = explorer.Run(states);
        return explorer;
    }

    private static string Tell(Finding? finding) =>
        finding is null ? "" : $"{finding.Violation}\n{string.Join('\n', finding.Trace)}";
}
