using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Tests.Migration;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Coordinator;

/// <summary>A transfer's bandwidth, from the operator's word to the source's.</summary>
public sealed class BandwidthTests
{
    private const long MiB = 1 << 20;

    private readonly Story<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> _coordinator =
        new(new CoordinatorMachine(), CoordinatorState.New);

    private readonly Story<SourceState, SourceCommand, AgentEvent, SourceEffect> _source = Stories.Source();

    [Fact]
    public void What_was_planned_comes_with_the_order_to_begin_and_is_kept()
    {
        Begin(20 * MiB);
        ReachPreCopy();
        var start = Assert.IsType<StartPreCopy>(Assert.Single(Sent()));
        Assert.Equal(20 * MiB, start.MaxBytesPerSecond);
        SourceReachesPreCopy(start.MaxBytesPerSecond);
        Assert.Equal(20 * MiB, _source.State.MaxBytesPerSecond);
    }

    [Fact]
    public void A_change_is_ordered_until_the_source_has_told_that_it_keeps_to_it()
    {
        Begin(20 * MiB);
        ReachPreCopy();
        SourceReachesPreCopy(20 * MiB);
        Assert.Null(Choose(null));
        var order = Assert.Single(Sent().OfType<LimitBandwidth>());
        Assert.Null(Order(order));
        Assert.Null(_source.State.MaxBytesPerSecond);
        Assert.Equal(order, Assert.Single(Sent().OfType<LimitBandwidth>()));
        Hear(_source.Events[^1]);
        Assert.Empty(Sent().OfType<LimitBandwidth>());
        Assert.Null(_coordinator.State.MaxBytesPerSecond);
    }

    [Fact]
    public void The_same_again_is_no_change()
    {
        Begin(20 * MiB);
        ReachPreCopy();
        Assert.Null(Choose(20 * MiB));
        Assert.Empty(_coordinator.Events.OfType<CoordinatorEvent.BandwidthChosen>());
        Choose(MiB);
        Choose(MiB);
        Assert.Single(_coordinator.Events.OfType<CoordinatorEvent.BandwidthChosen>());
    }

    [Fact]
    public void The_last_change_counts_in_whichever_order_orders_arrive()
    {
        ReachPreCopyOnBoth();
        Choose(MiB);
        var first = Assert.Single(Sent().OfType<LimitBandwidth>());
        Choose(2 * MiB);
        var second = Assert.Single(Sent().OfType<LimitBandwidth>());
        Order(second);
        Order(first);
        Order(second);
        Assert.Equal(2 * MiB, _source.State.MaxBytesPerSecond);
        Assert.Single(_source.Events.OfType<BandwidthLimited>());
    }

    [Fact]
    public void Before_pre_copy_it_waits_and_goes_with_it_and_after_the_switchover_it_is_refused_by_name()
    {
        Begin(null);
        Assert.Null(Choose(MiB));
        Assert.Empty(Sent().OfType<LimitBandwidth>());
        ReachPreCopy();
        Assert.Single(Sent().OfType<LimitBandwidth>());
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero));
        Assert.Null(Choose(2 * MiB)); // it may be put off yet
        Hear(new GroupQuiet(Id, default));
        Assert.Equal("migration.not-in-pre-copy", Choose(3 * MiB));
    }

    [Fact]
    public void A_migration_that_has_ended_is_told_so()
    {
        Begin(null);
        Hear(new DestinationFailed(Id, default, "destination.io", "gone"));
        Assert.Equal("migration.not-in-pre-copy", Choose(MiB));
        _coordinator.Tell(new CoordinatorCommand.RowRead(
            GuestRow.Start(Guest, new HostName("a"), new Epoch(1)).Open(Id, new HostName("b"))!.Abort(Id, At.Epoch)!, default));
        Hear(new GuestKept(Id, default));
        Hear(new IncomingDiscarded(Id, default));
        Assert.Equal("migration.ended", Choose(MiB));
    }

    [Fact]
    public void A_source_that_refuses_it_moves_the_guest_all_the_same()
    {
        ReachPreCopyOnBoth();
        Choose(MiB);
        _coordinator.Tell(new CoordinatorCommand.CommandRefused(Sent()[^1], "bad-request", "no such order", default));
        Assert.Equal(MigrationPhase.PreCopy, _coordinator.State.Phase);
    }

    [Fact]
    public void Whoever_takes_over_and_a_daemon_that_comes_back_keep_to_it()
    {
        ReachPreCopyOnBoth();
        Choose(MiB);
        Order(Assert.Single(Sent().OfType<LimitBandwidth>()));
        _source.Tell(new SourceCommand.Restarted(default));
        Assert.Equal(MiB, _source.State.MaxBytesPerSecond);
        _coordinator.Tell(new CoordinatorCommand.TakeOver(new Term(2), default));
        Assert.Equal(MiB, _coordinator.State.MaxBytesPerSecond);
        Assert.Equal(new Term(2), Assert.Single(Sent().OfType<LimitBandwidth>()).Fence.Term);
    }

    [Fact]
    public void A_transfer_that_cannot_end_under_its_limit_is_given_up_naming_it()
    {
        SourceReachesPreCopy(20 * MiB);
        for (int pass = 1; _source.State.Failure is null; pass++)
            _source.Tell(new SourceCommand.IterationEnded(
                new PassObservation(pass, TimeSpan.FromSeconds(2), 40 * MiB, 40 * MiB, Capped: true), 9, default));
        var failed = Assert.IsType<SourceFailed>(_source.Events[^1]);
        Assert.Equal("pre-copy.no-convergence", failed.Code);
        Assert.Contains("keep to 20 MiB/s", failed.Reason);
    }

    [Fact]
    public void Too_early_or_too_late_at_the_source_it_changes_nothing()
    {
        var order = new LimitBandwidth(Id, Guest, At, MiB, 1);
        Assert.Null(Order(order));
        Assert.Empty(_source.Events);
        SourceReachesPreCopy(null);
        _source.Tell(new SourceCommand.GuestDied(false, "gone", default));
        Assert.Null(Order(order));
        Assert.IsType<SourceGuestDied>(_source.Events[^1]);
    }

    private string? Choose(long? maxBytesPerSecond) =>
        _coordinator.Tell(new CoordinatorCommand.LimitBandwidth(maxBytesPerSecond, default));

    private void Hear(AgentEvent heard) => _coordinator.Tell(new CoordinatorCommand.Hear(heard, default));

    private string? Order(AgentCommand command) => _source.Tell(new SourceCommand.Order(command, default));

    private List<AgentCommand> Sent() => [.. _coordinator.Pending.OfType<CoordinatorEffect.Send>().Select(send => send.Command)];

    private void Begin(long? maxBytesPerSecond) => _coordinator.Tell(new CoordinatorCommand.Begin(
        new MigrationPlan(
            Id, Guest, new HostName("a"), new HostName("b"), At, "{}", TimeSpan.FromSeconds(1), MaxBytesPerSecond: maxBytesPerSecond),
        default));

    private void ReachPreCopy()
    {
        Hear(new DestinationPrepared(Id, default, "127.0.0.1:1", "00", []));
        Hear(new SetupCollected(Id, default, NoRecords, []));
        Hear(new SetupAccepted(Id, default));
        Assert.Equal(MigrationPhase.PreCopy, _coordinator.State.Phase);
    }

    private void SourceReachesPreCopy(long? maxBytesPerSecond)
    {
        Order(new CollectSetup(Id, Guest, At));
        _source.Tell(new SourceCommand.SetupRead(NoRecords, Devices(DeviceState.Running), default));
        Order(new StartPreCopy(Id, Guest, At, "127.0.0.1:1", "00", TimeSpan.FromSeconds(1), MaxBytesPerSecond: maxBytesPerSecond));
        Assert.Equal(SourcePhase.PreCopy, _source.State.Phase);
    }

    private void ReachPreCopyOnBoth()
    {
        Begin(null);
        ReachPreCopy();
        SourceReachesPreCopy(null);
    }
}
