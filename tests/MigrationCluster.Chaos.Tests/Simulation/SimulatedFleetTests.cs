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

    [Fact]
    public void A_coordinator_that_commits_without_the_yield_is_found()
    {
        bool found = Enumerable.Range(1, 500).Any(seed =>
            new SimulatedFleet(seed, coordinator: new CommitsWithoutYield()).Run() is not null);
        Assert.True(found);
    }

    [Fact]
    public void A_source_that_stops_before_the_group_is_quiet_is_found()
    {
        bool found = Enumerable.Range(1, 500).Any(seed =>
            new SimulatedFleet(seed, source: new StopsBeforeQuiet()).Run() is { Invariant: "QuiescedBeforeStopped" });
        Assert.True(found);
    }

    private sealed class CommitsWithoutYield
        : IStateMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>
    {
        private readonly CoordinatorMachine _real = new();

        public Decision<CoordinatorEvent> Decide(CoordinatorState state, CoordinatorCommand command) =>
            _real.Decide(state, command);

        public CoordinatorState Evolve(CoordinatorState state, CoordinatorEvent @event) => _real.Evolve(state, @event);

        public IReadOnlyList<CoordinatorEffect> Pending(CoordinatorState state) =>
            state.Phase == MigrationPhase.Committing
                ? [new CoordinatorEffect.Decide(OwnershipDecision.Committed, false)]
                : _real.Pending(state);
    }

    private sealed class StopsBeforeQuiet : IStateMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>
    {
        private readonly SourceMachine _real = new();

        public Decision<AgentEvent> Decide(SourceState state, SourceCommand command) => _real.Decide(state, command);

        public SourceState Evolve(SourceState state, AgentEvent @event) => _real.Evolve(state, @event);

        public IReadOnlyList<SourceEffect> Pending(SourceState state) =>
            _real.Pending(state.Phase == SourcePhase.Quiescing ? state with { Phase = SourcePhase.Stopping } : state);
    }
}
