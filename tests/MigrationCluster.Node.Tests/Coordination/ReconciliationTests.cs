using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using static MigrationCluster.Node.Tests.Coordination.CoordinatorBench;

namespace MigrationCluster.Node.Tests.Coordination;

public sealed class ReconciliationTests : IAsyncDisposable
{
    private static readonly GuestRow Committed = Open.Commit(Id, At.Epoch)!;
    private static readonly GuestRow Aborted = Open.Abort(Id, At.Epoch)!;
    private static readonly CoordinatorState Ended = CoordinatorState.New with { Plan = Plan, Phase = MigrationPhase.Failed };

    private readonly CoordinatorBench _bench = new();

    [Fact]
    public void An_incoming_process_of_an_aborted_migration_is_to_be_discarded_at_the_rows_epoch()
    {
        var found = Assert.Single(Judge(Aborted, On(A, Owner()), On(B, Incoming(At))));

        Assert.Equal("incoming.left-over", found.View.Code);
        Assert.Equal(new DiscardIncoming(Id, Guest, new Fence(Aborted.Epoch, new Term(0))), found.Remedy!.Value.Order);
    }

    [Fact]
    public void A_yielded_copy_that_was_not_released_is_to_be_released_and_only_after_the_commit()
    {
        var yielded = new FenceRecord(Guest, At, GuestRole.Owner, Yielded: true);
        var found = Assert.Single(Judge(Committed, On(A, yielded), On(B, Incoming(At) with { Role = GuestRole.Owner, Permitted = true })));

        Assert.Equal(("source.not-released", A), (found.View.Code, found.Remedy!.Value.Host));
        Assert.Equal(new ReleaseGuest(Id, Guest, At), found.Remedy!.Value.Order);
    }

    [Fact]
    public void A_guest_that_lives_against_the_row_is_named_and_never_ended()
    {
        var found = Assert.Single(Judge(Committed, On(A, Owner()), On(B, Owner())));

        Assert.Equal("guest.against-the-row", found.View.Code);
        Assert.Null(found.Remedy);
        Assert.Contains("not ended on a guess", found.View.Needed, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_left_of_an_attempt_that_is_still_open_is_nobodys_to_touch() =>
        Assert.Empty(Deviations.Of(Record(Open), CoordinatorState.New with { Plan = Plan, Phase = MigrationPhase.PreCopy }, true,
            [On(A, Owner()), On(B, Incoming(At))]));

    [Fact]
    public void Sessions_that_nobody_waits_for_get_the_order_that_the_row_proves()
    {
        var session = new SessionTrace(Id, Side.Destination, Guest, At, "Prepared", null);
        var found = Judge(Aborted, On(A, Owner()), new HostLook(B, new HostTraces([], [session]), null));

        Assert.IsType<DiscardIncoming>(Assert.Single(found).Remedy!.Value.Order);
    }

    [Fact]
    public void A_file_that_cannot_be_read_an_owner_that_is_silent_and_a_guest_without_a_row_are_named_with_what_is_needed()
    {
        var broken = new HostLook(B, new HostTraces([new GuestTrace(Guest, null, "fence cannot be read", [7])], []), null);
        var found = Judge(Aborted, new HostLook(A, null, "host a does not answer"), broken);
        Assert.Equal(["host.silent", "fence.unreadable"], found.Select(deviation => deviation.View.Code));
        Assert.All(found, deviation => Assert.NotNull(deviation.View.Needed));

        Assert.Equal("guest.without-row", Assert.Single(Deviations.WithoutRow([], [On(A, Owner())])).Code);
    }

    [Fact]
    public async Task A_host_that_is_proven_dead_is_recorded_with_who_says_so_and_the_migration_goes_on_without_it()
    {
        _bench.Agents.Add("a", null);
        _bench.Agents.Add("b", null, reachable: false);
        _bench.Agents.Traces["a"] = new HostTraces([new GuestTrace(Guest, Owner(), null, [7])], []);
        await _bench.StartAsync(UntilCommitting);
        await _bench.UntilSentAsync<YieldGuest>();

        var found = (await _bench.Reconciliation.RunAsync(new ReconcileRequest(null, "b", "ada"), default)).Value!;
        Assert.Contains(found.Deviations, deviation => deviation is { Code: "host.proven-dead", Done: not null });
        await _bench.UntilSentAsync<KeepGuest>();
        await _bench.HearAsync(A, new GuestKept(Id, default));
        var ended = await _bench.UntilAsync(view => view.EndedAt is not null);
        Assert.Equal("Failed", ended.Phase);
        Assert.Contains(ended.Reasons, reason => reason.Message == "b is dead, on ada's word");
    }

    [Fact]
    public async Task A_host_that_answers_is_not_dead_whoever_says_so()
    {
        _bench.Agents.Add("b", null);
        _bench.Agents.Traces["b"] = new HostTraces([], []);

        var refused = (await _bench.Reconciliation.RunAsync(new ReconcileRequest(null, "b", "ada"), default)).Refusal!;
        Assert.Equal(ErrorCodes.HostAnswers, refused.Error.Code);
        Assert.Equal(400, (await _bench.Reconciliation.RunAsync(new ReconcileRequest(null, "b"), default)).Refusal!.HttpStatus);
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    private static IReadOnlyList<Deviation> Judge(GuestRow row, params IReadOnlyList<HostLook> hosts) =>
        Deviations.Of(Record(row), Ended, true, hosts);

    private static GuestRecord Record(GuestRow row) => new(row, "{}", Placement.Placed);

    private static FenceRecord Owner() => new(Guest, new Fence(new Epoch(1), new Term(0)), GuestRole.Owner);

    private static FenceRecord Incoming(Fence fence) => new(Guest, fence, GuestRole.Incoming);

    private static HostLook On(HostName host, FenceRecord fence) =>
        new(host, new HostTraces([new GuestTrace(Guest, fence, null, [7, 8])], []), null);
}
