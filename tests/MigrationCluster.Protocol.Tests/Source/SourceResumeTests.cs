using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Tests.Migration;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Source;

/// <summary>A lost connection, or a daemon's death, stops only what needs a connection.</summary>
public sealed class SourceResumeTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan PauseDeadline = TimeSpan.FromSeconds(10);
    private static readonly DateTimeOffset Start = DateTimeOffset.UnixEpoch;

    private readonly Story<SourceState, SourceCommand, AgentEvent, SourceEffect> _source = Stories.Source();

    [Fact]
    public void A_pass_that_lost_its_connection_goes_on_over_the_next_one()
    {
        ReachPreCopy();
        Broke(after: 0);
        Assert.Equal(new SourceEffect.ConnectTransfer("127.0.0.1:1", "00", 0), Assert.Single(_source.Pending));
        Broke(after: 30); // nobody there yet: asked again, and nothing is journaled
        Assert.Single(_source.Events.OfType<TransferLost>());

        Connected();

        Assert.Equal(new SourceEffect.RunIteration(1), Assert.Single(_source.Pending));
        Broke(after: 100); // another loss has the whole limit again
        Assert.DoesNotContain(_source.Events, e => e is SourceFailed);
    }

    [Fact]
    public void Pre_copy_without_a_connection_for_longer_than_the_limit_fails_by_name()
    {
        ReachPreCopy();
        Broke(after: 0);
        Broke(after: 60);
        var failed = Assert.IsType<SourceFailed>(_source.Events[^1]);
        Assert.Equal("transfer.connection-lost", failed.Code);
        Assert.Contains("60 s", failed.Reason);
        Assert.Empty(_source.Pending);
    }

    [Theory]
    [InlineData(4, false)]
    [InlineData(5, true)]
    public void With_the_guest_paused_half_its_pause_deadline_decides_between_waiting_and_rollback(int seconds, bool fails)
    {
        ReachCopying();
        Broke(after: 1);
        Assert.IsType<SourceEffect.ConnectTransfer>(Assert.Single(_source.Pending));
        Broke(after: seconds);
        Assert.Equal(fails, _source.Events[^1] is SourceFailed { Code: "transfer.pause-deadline" });
        if (fails) return;
        Connected();
        Assert.Equal(new SourceEffect.SendFinal(), Assert.Single(_source.Pending));
    }

    [Fact]
    public void A_restarted_daemon_takes_the_transfer_up_in_pre_copy_and_in_stop_and_copy()
    {
        ReachPreCopy();
        _source.Tell(new SourceCommand.Restarted(Start));
        _source.Tell(new SourceCommand.Restarted(Start)); // and again, before it was connected
        Assert.Single(_source.Events.OfType<TransferLost>());
        Assert.IsType<SourceEffect.ConnectTransfer>(Assert.Single(_source.Pending));

        var copying = new SourceResumeTests();
        copying.ReachCopying();
        copying._source.Tell(new SourceCommand.Restarted(Start));
        Assert.IsType<SourceEffect.ConnectTransfer>(Assert.Single(copying._source.Pending));
        Assert.DoesNotContain(copying._source.Events, e => e is SourceFailed);
    }

    [Fact]
    public void A_daemon_that_comes_back_after_the_pause_deadline_finds_the_guest_kept()
    {
        ReachCopying();
        _source.Tell(new SourceCommand.Restarted(Start + PauseDeadline));
        Assert.Equal("transfer.pause-deadline", Assert.IsType<SourceFailed>(_source.Events[^1]).Code);
    }

    [Fact]
    public void No_machine_is_paused_without_a_connection()
    {
        ReachReady();
        _source.Tell(new SourceCommand.Restarted(Start));
        Assert.IsType<SwitchOverPutOff>(_source.Events[^1]);
        Assert.Null(Order(new SwitchOver(Id, Guest, At, PauseDeadline)));
        Connected();
        Assert.Equal(new SourceEffect.RunIteration(2), Assert.Single(_source.Pending));

        var redirected = new SourceResumeTests();
        redirected.ReachReady();
        redirected.Order(Reconnect(1));
        Assert.IsType<SwitchOverPutOff>(redirected._source.Events[^1]);
    }

    /// <summary>Found by exploring: an old order paused the machine while the coordinator was in PreCopy, which then aborted on top of it.</summary>
    [Fact]
    public void An_order_to_switch_over_that_answers_an_earlier_readiness_is_old_news()
    {
        ReachReady();
        _source.Tell(new SourceCommand.Restarted(Start));
        Connected();
        _source.Tell(new SourceCommand.IterationEnded(
            new PassObservation(2, TimeSpan.FromSeconds(1), 40960, 0), 10, Start));
        Assert.Equal(2, Assert.IsType<ReadyToSwitch>(_source.Events[^1]).Readiness);

        Assert.Null(Order(new SwitchOver(Id, Guest, At, PauseDeadline, Readiness: 1)));
        Assert.Equal(SourcePhase.Ready, _source.State.Phase);
        Assert.Null(Order(new SwitchOver(Id, Guest, At, PauseDeadline, Readiness: 2)));
        Assert.Equal(SourcePhase.Pausing, _source.State.Phase);
    }

    [Fact]
    public void A_daemon_that_dies_while_devices_are_being_stopped_ends_the_attempt_by_name()
    {
        ReachReady();
        Order(new SwitchOver(Id, Guest, At, PauseDeadline));
        _source.Tell(new SourceCommand.Restarted(Start));
        Assert.Equal("source.daemon-restarted", Assert.IsType<SourceFailed>(_source.Events[^1]).Code);
    }

    [Fact]
    public void The_destination_is_followed_to_where_it_opened_last_and_an_older_order_changes_nothing()
    {
        ReachPreCopy();
        Assert.Null(Order(Reconnect(2)));
        Assert.Null(Order(Reconnect(1)));
        Assert.Null(Order(Reconnect(2)));
        Assert.Equal(new SourceEffect.ConnectTransfer("127.0.0.1:2", "02", 2), Assert.Single(_source.Pending));

        // What was connected to meanwhile is the daemon that is no more.
        _source.Tell(new SourceCommand.TransferConnected(0, Start));
        Assert.False(_source.State.TransferOpen);
        Connected();
        Assert.True(_source.State.TransferOpen);
    }

    [Fact]
    public void A_reconnect_that_comes_too_early_or_too_late_is_old_news()
    {
        Assert.Null(Order(Reconnect(1)));
        Assert.Empty(_source.Events);
        ReachCopying();
        _source.Tell(new SourceCommand.FinalSent(
            "d", default, new TransferTotals(0, 0, 0, new Dictionary<string, long>()), Start));
        Assert.Null(Order(Reconnect(1)));
        Assert.IsType<FinalStateSent>(_source.Events[^1]);
    }

    private static ReconnectTransfer Reconnect(int opening) => new(Id, Guest, At, $"127.0.0.1:{opening}", $"0{opening}", opening);

    private string? Order(AgentCommand command) => _source.Tell(new SourceCommand.Order(command, Start));

    private void Broke(int after) =>
        _source.Tell(new SourceCommand.TransferBroke("the network", Limit, Start + TimeSpan.FromSeconds(after)));

    private void Connected() => _source.Tell(new SourceCommand.TransferConnected(_source.State.Opening, Start));

    private void ReachPreCopy()
    {
        Order(new CollectSetup(Id, Guest, At));
        _source.Tell(new SourceCommand.SetupRead(NoRecords, Devices(DeviceState.Running), Start));
        Order(new StartPreCopy(Id, Guest, At, "127.0.0.1:1", "00", TimeSpan.FromSeconds(1)));
        Connected();
        _source.MoveAll();
        Assert.Equal(new SourceEffect.RunIteration(1), Assert.Single(_source.Pending));
    }

    private void ReachReady()
    {
        ReachPreCopy();
        _source.Tell(new SourceCommand.IterationEnded(
            new PassObservation(1, TimeSpan.FromSeconds(1), 40960, 0), 10, Start));
        Assert.Equal(SourcePhase.Ready, _source.State.Phase);
    }

    private void ReachCopying()
    {
        ReachReady();
        Order(new SwitchOver(Id, Guest, At, PauseDeadline));
        while (_source.State.Phase < SourcePhase.Copying)
            foreach (var effect in _source.Pending)
                _source.Tell(effect switch
                {
                    SourceEffect.MoveDevice move => new SourceCommand.DeviceArrived(move.Device, move.Target, Start),
                    _ => new SourceCommand.DeviceArrived(DeviceName.Machine, DeviceState.Stop, Start),
                });
    }
}
