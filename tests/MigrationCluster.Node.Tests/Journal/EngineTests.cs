using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Journal;

/// <summary>What every engine keeps to.</summary>
public sealed class EngineTests(Engines engines) : IClassFixture<Engines>
{
    private static readonly MigrationId M1 = new("m-1");
    private static readonly TimeSpan Lease = TimeSpan.FromMinutes(1);
    private static readonly GuestRow Row = GuestRow.Start(new("g"), new("a"), new(1));

    [Theory, OnSqlite, OnPostgres]
    public async Task A_swap_applies_only_to_what_was_expected(string engine)
    {
        await using var store = engines.New(engine)();
        var first = new GuestRecord(Row, "{}", Placement.Placed);
        var moving = first with { Row = Row.Open(M1, new("b"))! };

        Assert.True(await store.CompareAndSwapAsync(null, first, default));
        Assert.False(await store.CompareAndSwapAsync(null, first, default));
        Assert.True(await store.CompareAndSwapAsync(first, moving, default));
        Assert.False(await store.CompareAndSwapAsync(first, first with { Placement = Placement.Vacating }, default));
        Assert.Equal(moving, await store.ReadAsync(Row.Guest, default));
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task Of_many_swaps_at_once_exactly_one_wins(string engine)
    {
        await using var store = engines.New(engine)();
        var first = new GuestRecord(Row, "{}", Placement.Placed);
        await store.CompareAndSwapAsync(null, first, default);
        var wins = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
            await store.CompareAndSwapAsync(first, first with { Row = Row.Open(new($"m-{i}"), new("b"))! }, default))));

        Assert.Single(wins, won => won);
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task Rows_and_journal_survive_a_restart(string engine)
    {
        var open = engines.New(engine);
        var store = open();
        var record = new GuestRecord(Row.Open(M1, new("b"))!, """{"name":"g"}""", Placement.Placed);
        await store.CompareAndSwapAsync(null, record, default);
        var log = new MigrationEventLog(store, M1, new Fence(new(2), await store.AcquireAsync(M1, default)));
        var plan = new MigrationPlan(
            M1, new("g"), new("a"), new("b"), new Fence(new(2), new(1)), "{}", TimeSpan.FromMilliseconds(300));
        var at = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        CoordinatorEvent[] events =
        [
            new CoordinatorEvent.Planned(plan, at),
            new CoordinatorEvent.PhaseEntered(MigrationPhase.Preparing, at),
            new CoordinatorEvent.Observed(new MachinePaused(M1, at), at),
            new CoordinatorEvent.DecisionRead(OwnershipDecision.Committed, new(2), at),
        ];
        await log.AppendAsync(events[..1], default);
        await log.AppendAsync(events[1..], default);
        await store.MoveAsync(new HostName("a"), 17, default);
        await store.DisposeAsync();
        store = open();

        Assert.Equal(record, Assert.Single(await ((IGuestRows)store).ListAsync(default)));
        Assert.Equal(events, await new MigrationEventLog(store, M1, default).ReadAsync(default));
        Assert.Equal([M1], await ((IMigrationJournal)store).ListAsync(default));
        Assert.Equal(17, await store.ReadAsync(new HostName("a"), default));
        Assert.Equal(0, await store.ReadAsync(new HostName("b"), default));
        await store.DisposeAsync();
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task A_coordinator_of_an_earlier_term_can_no_longer_append(string engine)
    {
        await using var store = engines.New(engine)();
        var old = new Fence(new(2), await store.AcquireAsync(M1, default));
        var later = new Fence(new(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, later, 0, [new("TookOver", "{}")], durable: true, default);

        var refused = await Assert.ThrowsAsync<FencedOutException>(async () =>
            await store.AppendAsync(M1, old, 1, [new("PhaseEntered", "{}")], durable: false, default));
        Assert.Contains("t2", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["TookOver"], (await store.ReadAsync(M1, default)).Select(entry => entry.Type));
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task Nobody_writes_on_after_entries_that_are_not_there(string engine)
    {
        await using var store = engines.New(engine)();
        var fence = new Fence(new(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, fence, 0, [new("Planned", "{}"), new("TookOver", "{}")], durable: true, default);

        await Assert.ThrowsAsync<JournalChangedException>(async () =>
            await store.AppendAsync(M1, fence, 3, [new("Observed", "{}")], durable: false, default));
        await store.AppendAsync(M1, fence, 2, [new("Observed", "{}")], durable: false, default);
        Assert.Equal(3, (await store.ReadAsync(M1, default)).Count);
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task A_known_host_may_move_but_not_be_replaced_by_another_node_of_its_name(string engine)
    {
        await using var store = engines.New(engine)();
        var member = new Member(new("a"), "id-1", "http://127.0.0.1:1", 1);
        Assert.Null(await store.AdmitAsync(member, default));
        Assert.Null(await store.AdmitAsync(member with { Address = "http://127.0.0.1:2" }, default));
        var imposter = member with { NodeId = "id-2", Address = "http://127.0.0.1:3" };

        Assert.Equal("http://127.0.0.1:2", (await store.AdmitAsync(imposter, default))?.Address);
        Assert.Equal("id-1", Assert.Single(await ((IMembership)store).ListAsync(default)).NodeId);
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task Two_coordinators_at_once_never_take_the_same_term(string engine)
    {
        await using var store = engines.New(engine)();
        var terms = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () => await store.AcquireAsync(M1, default))));

        Assert.Equal(Enumerable.Range(1, 8).Select(term => (ulong)term), terms.Select(term => term.Value).Order());
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task A_restarted_coordinator_takes_on_again_what_has_not_ended(string engine)
    {
        var open = engines.New(engine);
        var before = open();
        var ended = new MigrationId("m-2");
        await before.AcquireAsync(M1, default);
        await before.AcquireAsync(ended, default);
        Assert.True(await before.EndAsync(ended, 0, default));
        Assert.Empty((await before.RenewAsync([M1], null, Lease, default)).Taken);
        await before.DisposeAsync();

        await using var store = open();
        Assert.Equal([(M1, new Term(2))], (await store.RenewAsync([], null, Lease, default)).Taken);
        var next = await store.RenewAsync([M1], null, Lease, default);
        Assert.Empty(next.Taken);
        Assert.Empty(next.Lost);
    }

    /// <summary>Found by chaos: its first coordinator's lease ran out between its first term and the row; whoever took it on found no row to close, and
    /// ended it. Then the row was opened, and its guest could neither move nor be stopped any more.</summary>
    [Theory, OnSqlite, OnPostgres]
    public async Task A_row_that_was_opened_for_a_migration_given_up_before_is_found(string engine)
    {
        await using var store = engines.New(engine)();
        var row = GuestRow.Start(new GuestName("g"), new HostName("a"), new Epoch(1));
        var record = new GuestRecord(row, "{}", Placement.Placed);
        Assert.True(await store.CompareAndSwapAsync(null, record, default));
        await store.AcquireAsync(M1, default);
        Assert.True(await store.EndAsync(M1, 0, default));
        Assert.Empty((await store.RenewAsync([], null, Lease, default)).Taken);

        var open = record with { Row = row.Open(M1, new HostName("b"))! };
        Assert.True(await store.CompareAndSwapAsync(record, open, default));
        Assert.Equal([(M1, new Term(2))], (await store.RenewAsync([], null, Lease, default)).Taken);

        Assert.True(await store.CompareAndSwapAsync(open, open with { Row = open.Row.Abort(M1, open.Row.Epoch)! }, default));
        Assert.Empty((await store.RenewAsync([], null, Lease, default)).Taken);
    }

    /// <summary>Found by chaos: PostgreSQL crashed and lost the entry that a migration had ended with; what had heard of it marked it as ended on the restarted
    /// server, and nobody went on with it.</summary>
    [Theory, OnSqlite, OnPostgres]
    public async Task A_migration_whose_last_entries_are_lost_is_not_ended(string engine)
    {
        await using var store = engines.New(engine)();
        var fence = new Fence(new Epoch(2), await store.AcquireAsync(M1, default));
        await store.AppendAsync(M1, fence, 0, [new("Planned", "{}")], durable: true, default);

        Assert.False(await store.EndAsync(M1, 2, default));
        Assert.Equal([(M1, new Term(2))], (await store.RenewAsync([], null, Lease, default)).Taken);
        Assert.True(await store.EndAsync(M1, 1, default));
        Assert.Empty((await store.RenewAsync([], null, Lease, default)).Taken);
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task A_cursor_is_where_it_was_moved_last(string engine)
    {
        await using var store = engines.New(engine)();
        await store.MoveAsync(new HostName("a"), 3, default);
        await store.MoveAsync(new HostName("a"), 9, default);

        Assert.Equal(9, await store.ReadAsync(new HostName("a"), default));
    }

    [Theory, OnSqlite, OnPostgres]
    public async Task Rows_are_listed_by_name_and_each_with_every_field(string engine)
    {
        await using var store = engines.New(engine)();
        var second = new GuestRecord(GuestRow.Start(new("a-2"), new("b"), new(7)), "{ \"x\": 1 }", Placement.Vacant);
        var first = new GuestRecord(GuestRow.Start(new("a"), new("b"), new(3)), "{}", Placement.Vacating);
        await store.CompareAndSwapAsync(null, second, default);
        await store.CompareAndSwapAsync(null, first, default);

        Assert.Equal([first, second], await ((IGuestRows)store).ListAsync(default));
        Assert.Null(await store.ReadAsync(new GuestName("none"), default));
    }
}
