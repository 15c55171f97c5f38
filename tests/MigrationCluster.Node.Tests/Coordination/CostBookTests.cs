using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using static MigrationCluster.Node.Tests.Coordination.CoordinatorBench;

namespace MigrationCluster.Node.Tests.Coordination;

public sealed class CostBookTests
{
    private static readonly DateTimeOffset Noon = new(2026, 11, 30, 12, 0, 0, TimeSpan.Zero);
    private readonly Journals _journals = new();

    /// <summary>A bad hour of the hosts has taught them that a switchover takes seconds. It has passed; no migration would ever find out.</summary>
    [Fact]
    public async Task A_move_given_up_for_what_blackouts_cost_is_tried_again_with_the_longest_of_them_forgotten()
    {
        using var book = new CostBook(_journals, new CoordinatorMachine());
        for (int i = 0; i < 10; i++) Complete(resumeMs: 30);
        for (int i = 0; i < 10; i++) Complete(resumeMs: 4000);
        Assert.True(await ResumeSpreadAsync(book) > 1000);

        GiveUp(StallCause.FixedCosts);
        GiveUp(StallCause.FixedCosts);
        Assert.Equal(10, (await book.ReadAsync(default)).Count);
        Assert.True(await ResumeSpreadAsync(book) < 30);
    }

    /// <summary>The first blackouts of a new cluster had a fault in them.</summary>
    [Fact]
    public async Task Where_so_few_are_known_that_none_is_forgotten_the_tenth_in_a_row_forgets_all()
    {
        using var book = new CostBook(_journals, new CoordinatorMachine());
        for (int i = 0; i < 2; i++) Complete(resumeMs: 20_000);
        for (int i = 0; i < 9; i++) GiveUp(StallCause.FixedCosts);
        Assert.Equal(2, (await book.ReadAsync(default)).Count);

        GiveUp(StallCause.FixedCosts);
        Assert.Empty(await book.ReadAsync(default));
        Assert.Equal(LearnedCosts.Assumed, await book.LearnAsync(A, B, default));

        Complete(resumeMs: 20_000);
        GiveUp(StallCause.FixedCosts);
        Assert.Single(await book.ReadAsync(default));
    }

    [Fact]
    public async Task A_blackout_in_which_a_clock_was_set_says_nothing_of_what_the_next_costs()
    {
        using var book = new CostBook(_journals, new CoordinatorMachine());
        Complete(resumeMs: 530_000, heardMs: 300);
        Complete(resumeMs: 0, heardMs: 90_000);
        Complete(resumeMs: 30, sentAheadMs: 530_000);
        Complete(resumeMs: 30, passBehindMs: 530_000);
        Assert.Empty(await book.ReadAsync(default));

        Complete(resumeMs: 800, heardMs: 300);
        Assert.Single(await book.ReadAsync(default));
    }

    [Fact]
    public async Task A_guest_that_writes_too_fast_says_nothing_of_what_blackouts_cost()
    {
        using var book = new CostBook(_journals, new CoordinatorMachine());
        for (int i = 0; i < 20; i++) Complete(resumeMs: 4000);
        GiveUp(StallCause.DirtyRate);

        Assert.Equal(20, (await book.ReadAsync(default)).Count);
    }

    private static async Task<double> ResumeSpreadAsync(CostBook book) => (await book.LearnAsync(A, B, default)).Resume.Spread;

    /// <param name="heardMs">when the coordinator heard of it, by its own clock; null: as by the destination's.</param>
    /// <param name="sentAheadMs">by how much the source's clock was ahead when it had sent everything, and then right again.</param>
    /// <param name="passBehindMs">by how much it was behind when the last pass had ended.</param>
    private void Complete(double resumeMs, double? heardMs = null, double sentAheadMs = 0, double passBehindMs = 0) => _journals.Write(
    [
        Hear(new IterationFinished(Id, Noon.AddMilliseconds(-passBehindMs), 1, 0, 0, default, 0, 0, 0, new PassObservation(1, TimeSpan.FromSeconds(1), 1 << 20, 0)), Noon),
        Hear(new ReadyToSwitch(Id, Noon, default)), Hear(new MachinePaused(Id, Noon)), Hear(new GroupQuiet(Id, Noon)), Hear(new DevicesStopped(Id, Noon)),
        Hear(new FinalStateSent(
            Id, Noon.AddMilliseconds(sentAheadMs), "d1g", Noon, new TransferTotals(0, 0, 0, new Dictionary<string, long>()),
            Timings: new BlackoutTimings(1, 0, 0, Noon, [])), Noon),
        Hear(new DestinationVerified(Id, Noon, "d1g", new Dictionary<string, string>())), Hear(new GuestYielded(Id, Noon)),
        new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, Noon),
        Hear(new GuestResumed(Id, Noon.AddMilliseconds(resumeMs)), Noon.AddMilliseconds(heardMs ?? resumeMs)),
    ]);

    private void GiveUp(StallCause cause) => _journals.Write(
    [
        Hear(new IterationFinished(
            Id, Noon, 1, 0, 0, default, 0, 0, 0, new PassObservation(1, TimeSpan.FromSeconds(1), 1 << 20, 0), null, new Stall(cause, "", 0, [], null))),
        Hear(new SourceFailed(Id, Noon, "pre-copy.no-convergence", "given up")),
        new CoordinatorCommand.RowRead(Open.Abort(Id, At.Epoch)!, Noon), Hear(new GuestKept(Id, Noon)), Hear(new IncomingDiscarded(Id, Noon)),
    ]);

    private static CoordinatorCommand.Hear Hear(AgentEvent e, DateTimeOffset? at = null) => new(e, at ?? e.At);

    /// <summary>Of migrations of one guest from a to b.</summary>
    private sealed class Journals : IMigrationJournal
    {
        private readonly List<IReadOnlyList<JournalEntry>> _journals = [];

        public void Write(IEnumerable<CoordinatorCommand> story)
        {
            var (machine, state, entries) = (new CoordinatorMachine(), CoordinatorState.New, new List<JournalEntry>());
            foreach (var command in (CoordinatorCommand[])[new CoordinatorCommand.Begin(Plan, Noon), .. UntilCommitting.Take(3).Select(e => Hear(e)), .. story])
                foreach (var e in Assert.IsType<Accepted<CoordinatorEvent>>(machine.Decide(state, command)).Events)
                {
                    entries.Add(new JournalEntry(e.GetType().Name, WireJson.Write(e)));
                    state = machine.Evolve(state, e);
                }

            Assert.True(state.Phase == MigrationPhase.Completed || state.Ended, $"{state.Phase}");
            _journals.Add(entries);
        }

        public ValueTask<IReadOnlyList<MigrationId>> ListAsync(CancellationToken cancellationToken) =>
            new([.. Enumerable.Range(0, _journals.Count).Select(i => new MigrationId($"m-{i}"))]);

        public ValueTask<IReadOnlyList<JournalEntry>> ReadAsync(MigrationId migration, CancellationToken cancellationToken) =>
            new(_journals[int.Parse(migration.Value[2..], System.Globalization.CultureInfo.InvariantCulture)]);

        public ValueTask AppendAsync(
            MigrationId migration, Fence fence, int after, IReadOnlyList<JournalEntry> entries, bool durable, CancellationToken cancellationToken) =>
            throw new NotSupportedException();
    }
}
