using MigrationCluster.Api;
using MigrationCluster.Protocol.Migration;
using static MigrationCluster.Node.Tests.Coordination.CoordinatorBench;

namespace MigrationCluster.Node.Tests.Coordination;

public sealed class InDoubtTests : IAsyncDisposable
{
    private readonly CoordinatorBench _bench = new();

    [Fact]
    public async Task A_migration_that_awaits_the_row_is_in_doubt_while_the_store_is_away_and_goes_on_by_itself()
    {
        await _bench.StartAsync(UntilCommitting);
        await _bench.UntilSentAsync<YieldGuest>();
        var before = DateTimeOffset.UtcNow;
        _bench.Store.Away(true);

        var doubtful = await _bench.UntilAsync(view => view.Doubt is not null);
        Assert.Equal(("InDoubt", Outcomes.InDoubt), (doubtful.Phase, doubtful.Outcome));
        Assert.Contains("the store is away", doubtful.Doubt!.Why, StringComparison.Ordinal);
        Assert.Contains("committed, b runs it; aborted, a does", doubtful.Doubt.Resolution, StringComparison.Ordinal);
        Assert.InRange(doubtful.Doubt.Since, before, DateTimeOffset.UtcNow);
        Assert.Equal([("m-1", "InDoubt")], (await _bench.Migrations.ListAsync(default)).Select(view => (view.Id, view.Phase)));

        _bench.Store.Away(false);
        Assert.Equal(Outcomes.Running, (await _bench.UntilAsync(view => view.Doubt is null)).Outcome);
        await _bench.HearAsync(A, new GuestYielded(Id, default));
        await _bench.UntilAsync(view => view.Phase == "Resuming");
    }

    [Fact]
    public async Task Before_the_source_is_asked_to_yield_nothing_is_in_doubt_without_the_store()
    {
        await _bench.StartAsync();
        await _bench.UntilSentAsync<PrepareDestination>();
        _bench.Store.Away(true);
        // Three rounds have failed: the store's being away is known by then.
        await Task.Delay(TimeSpan.FromSeconds(1.6));

        var view = (await _bench.Migrations.GetAsync(Id.Value, default)).Value!;
        Assert.Equal(("Preparing", Outcomes.Running, null), (view.Phase, view.Outcome, view.Doubt));
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();
}
