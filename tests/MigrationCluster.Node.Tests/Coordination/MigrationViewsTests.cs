using MigrationCluster.Api;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using static MigrationCluster.Node.Tests.Coordination.CoordinatorBench;

namespace MigrationCluster.Node.Tests.Coordination;

public sealed class MigrationViewsTests
{
    /// <summary>Found by simulation: such a migration could not be shown, so it was never let go of, and no lease was renewed any more.</summary>
    [Fact]
    public void A_migration_whose_source_died_before_it_told_what_it_sent_completes_without_a_report()
    {
        var machine = new CoordinatorMachine();
        var (state, events) = (CoordinatorState.New, new List<CoordinatorEvent>());
        CoordinatorCommand[] story =
        [
            new CoordinatorCommand.Begin(Plan, default),
            .. UntilCommitting.Where(e => e is not FinalStateSent).SkipLast(1).Select(Hear),
            Hear(new SourceGuestDied(Id, default, DiedAsYielded: true, "its host lost its power")),
            Hear(UntilCommitting[^1]),
            new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default),
            Hear(new GuestResumed(Id, default)),
        ];
        foreach (var command in story)
            foreach (var e in Assert.IsType<Accepted<CoordinatorEvent>>(machine.Decide(state, command)).Events)
            {
                events.Add(e);
                state = machine.Evolve(state, e);
            }

        var view = MigrationViews.Of(state, events, new ProgressView(0, 0, 0, 0, 0, []), 1);

        Assert.Equal(("Completed", Outcomes.Completed), (view.Phase, view.Outcome));
        Assert.Null(view.Report);
        Assert.Contains("its host lost its power", Assert.Single(view.Reasons).Message, StringComparison.Ordinal);

        static CoordinatorCommand Hear(AgentEvent e) => new CoordinatorCommand.Hear(e, default);
    }
}
