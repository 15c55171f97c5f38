using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Journal;

public sealed class CoordinatorStoreTests : IDisposable
{
    private static readonly MigrationId M1 = new("m-1");
    private static readonly GuestRow Row = GuestRow.Start(new("g"), new("a"), new(1));
    private readonly TempDirectory _directory = new();
    private CoordinatorStore _store;

    public CoordinatorStoreTests() => _store = Open();

    public void Dispose()
    {
        _store.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task A_swap_applies_only_to_what_was_expected()
    {
        var first = new GuestRecord(Row, "{}", Placement.Placed);
        var moving = first with { Row = Row.Open(M1, new("b"))! };

        Assert.True(await _store.CompareAndSwapAsync(null, first, default));
        Assert.False(await _store.CompareAndSwapAsync(null, first, default));
        Assert.True(await _store.CompareAndSwapAsync(first, moving, default));
        Assert.False(await _store.CompareAndSwapAsync(first, first with { Placement = Placement.Vacating }, default));
        Assert.Equal(moving, await _store.ReadAsync(Row.Guest, default));
    }

    [Fact]
    public async Task Of_many_swaps_at_once_exactly_one_wins()
    {
        var first = new GuestRecord(Row, "{}", Placement.Placed);
        await _store.CompareAndSwapAsync(null, first, default);
        var wins = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
            await _store.CompareAndSwapAsync(first, first with { Row = Row.Open(new($"m-{i}"), new("b"))! }, default))));

        Assert.Single(wins, won => won);
    }

    [Fact]
    public async Task Rows_and_journal_survive_a_restart()
    {
        var record = new GuestRecord(Row.Open(M1, new("b"))!, """{"name":"g"}""", Placement.Placed);
        await _store.CompareAndSwapAsync(null, record, default);
        var log = new MigrationEventLog(_store, M1, new Fence(new(2), await _store.AcquireAsync(M1, default)));
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
        await _store.MoveAsync(new HostName("a"), 17, default);
        _store.Dispose();
        _store = Open();

        Assert.Equal(record, Assert.Single(await ((IGuestRows)_store).ListAsync(default)));
        Assert.Equal(events, await new MigrationEventLog(_store, M1, default).ReadAsync(default));
        Assert.Equal([M1], await ((IMigrationJournal)_store).ListAsync(default));
        Assert.Equal(17, await _store.ReadAsync(new HostName("a"), default));
        Assert.Equal(0, await _store.ReadAsync(new HostName("b"), default));
    }

    [Fact]
    public async Task A_coordinator_of_an_earlier_term_can_no_longer_append()
    {
        var old = new Fence(new(2), await _store.AcquireAsync(M1, default));
        var later = new Fence(new(2), await _store.AcquireAsync(M1, default));
        await _store.AppendAsync(M1, later, [new("TookOver", "{}")], durable: true, default);

        var refused = await Assert.ThrowsAsync<FencedOutException>(async () =>
            await _store.AppendAsync(M1, old, [new("PhaseEntered", "{}")], durable: false, default));
        Assert.Contains("t2", refused.Message, StringComparison.Ordinal);
        Assert.Equal(["TookOver"], (await _store.ReadAsync(M1, default)).Select(entry => entry.Type));
    }

    [Fact]
    public async Task A_known_host_may_move_but_not_be_replaced_by_another_node_of_its_name()
    {
        var member = new Member(new("a"), "id-1", "http://127.0.0.1:1", 1);
        Assert.Null(await _store.AdmitAsync(member, default));
        Assert.Null(await _store.AdmitAsync(member with { Address = "http://127.0.0.1:2" }, default));
        var imposter = member with { NodeId = "id-2", Address = "http://127.0.0.1:3" };

        Assert.Equal("http://127.0.0.1:2", (await _store.AdmitAsync(imposter, default))?.Address);
        Assert.Equal("id-1", Assert.Single(await ((IMembership)_store).ListAsync(default)).NodeId);
    }

    private CoordinatorStore Open() => new(_directory.File("coordinator.db"));
}
