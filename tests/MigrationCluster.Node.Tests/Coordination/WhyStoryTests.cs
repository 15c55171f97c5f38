using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Tests.Coordination;

/// <summary>Stories made by the real coordinator machine, told from its journal and the agents'.</summary>
public sealed class WhyStoryTests
{
    private static readonly MigrationId Id = new("m-1");
    private static readonly GuestName Guest = new("g");
    private static readonly HostName A = new("a");
    private static readonly HostName B = new("b");
    private static readonly Fence At = new(new Epoch(2), new Term(1));
    private static readonly GuestRow Open = GuestRow.Start(Guest, A, new Epoch(1)).Open(Id, B)!;
    private static readonly MigrationPlan Plan = new(Id, Guest, A, B, At, "{}", TimeSpan.FromMilliseconds(300));
    private static readonly Dictionary<string, string> NoDigests = [];

    private readonly List<CoordinatorEvent> _journal = [];
    private readonly List<AgentEvent> _source = [];
    private readonly List<AgentEvent> _destination = [];
    private CoordinatorState _state = CoordinatorState.New;

    [Fact]
    public void A_commit_rests_on_both_votes_and_a_takeover_names_who_and_under_which_term()
    {
        Tell(new CoordinatorCommand.Begin(Plan, default, new HostName("c1")));
        Switch();
        Tell(new CoordinatorCommand.TakeOver(new Term(2), default, new HostName("c2")));
        On(_destination, new DestinationVerified(Id, default, "d1g", NoDigests));
        On(_source, new GuestYielded(Id, default));
        Tell(new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default));

        var why = Story(Open.Commit(Id, At.Epoch)!);

        var takeover = Assert.Single(why.Timeline, entry => entry.What.StartsWith("took over", StringComparison.Ordinal));
        Assert.Equal(("coordinator c2", 2UL), (takeover.Who, takeover.Term));
        var commit = Assert.Single(why.Timeline, entry => entry.What.StartsWith("committed", StringComparison.Ordinal));
        Assert.Equal(("coordinator c2", 2UL), (commit.Who, commit.Term));
        Assert.Equal(["b voted Verified(e2) of digest d1g", "a voted Yielded(e2)"], commit.Evidence);
        Assert.Equal("b", why.Verdict.Owner);
        Assert.Contains("the row says: committed at e2 for m-1, owner b", why.Verdict.Proof);
        Assert.Empty(why.Missing);
    }

    [Fact]
    public void What_an_agent_did_stands_before_what_followed_from_it_whatever_the_clocks_say()
    {
        Tell(new CoordinatorCommand.Begin(Plan, default));
        _destination.Add(new DestinationOpened(Id, default(DateTimeOffset).AddYears(5), Guest, At, "{}"));
        On(_destination, new DestinationFailed(Id, default(DateTimeOffset).AddYears(5), "destination.io", "gone"));
        Tell(new CoordinatorCommand.RowRead(Open.Abort(Id, At.Epoch)!, default));

        var told = Story(Open.Abort(Id, At.Epoch)!).Timeline.Select(entry => entry.What).ToList();

        Assert.Equal(
            ["planned g from a to b", "took the migration on", "failed", "chose to abort", "aborted: the row names a at e3"], told);
    }

    [Fact]
    public void While_the_row_is_undecided_a_yielded_guest_has_no_owner_and_a_running_one_its_source()
    {
        Tell(new CoordinatorCommand.Begin(Plan, default));
        Assert.Equal("a", Story(Open).Verdict.Owner);
        Switch();
        On(_destination, new DestinationVerified(Id, default, "d1g", NoDigests));
        On(_source, new GuestYielded(Id, default));

        var verdict = Story(Open).Verdict;
        Assert.Null(verdict.Owner);
        Assert.Contains("until the row is decided", verdict.Statement, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_a_host_that_does_not_answer_what_was_heard_is_told_and_what_is_missing_named()
    {
        Tell(new CoordinatorCommand.Begin(Plan, default));
        On(_destination, new DestinationFailed(Id, default, "destination.io", "gone"));

        var why = WhyStory.Of(Plan, _journal, Evidence(A, _source), new HostEvidence(B, null, null, "b is silent"), Record(Open));

        Assert.Contains(why.Timeline, entry => (entry.Who, entry.What) == ("destination agent b", "failed"));
        Assert.Equal(["b is silent"], why.Missing);
    }

    [Fact]
    public void A_row_that_moved_on_names_what_came_after()
    {
        Tell(new CoordinatorCommand.Begin(Plan, default));
        var later = Open.Commit(Id, At.Epoch)!.Open(new MigrationId("m-2"), A)!;

        var verdict = Story(later).Verdict;
        Assert.Equal("b", verdict.Owner);
        Assert.Contains("why m-2", verdict.Statement, StringComparison.Ordinal);
    }

    private void Switch()
    {
        On(_destination, new DestinationPrepared(Id, default, "x", "y", []));
        On(_source, new SetupCollected(Id, default, [], []));
        On(_destination, new SetupAccepted(Id, default));
        On(_source, new ReadyToSwitch(Id, default, default));
        On(_source, new GroupQuiet(Id, default));
        On(_source, new FinalStateSent(Id, default, "d1g", default, new TransferTotals(0, 0, 0, new Dictionary<string, long>())));
    }

    private void On(List<AgentEvent> agent, AgentEvent e)
    {
        agent.Add(e);
        Tell(new CoordinatorCommand.Hear(e, default));
    }

    private void Tell(CoordinatorCommand command)
    {
        foreach (var e in ((Accepted<CoordinatorEvent>)new CoordinatorMachine().Decide(_state, command)).Events)
        {
            _journal.Add(e);
            _state = new CoordinatorMachine().Evolve(_state, e);
        }
    }

    private Api.WhyView Story(GuestRow row) =>
        WhyStory.Of(Plan, _journal, Evidence(A, _source), Evidence(B, _destination), Record(row));

    private static HostEvidence Evidence(HostName host, IReadOnlyList<AgentEvent> events) =>
        new(host, events, new HostTraces([], []), null);

    private static GuestRecord Record(GuestRow row) => new(row, "{}", Placement.Placed);
}
