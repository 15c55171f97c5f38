using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Tests.Migration;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Destination;

public sealed class DestinationMachineTests
{
    private readonly Story<DestinationState, DestinationCommand, AgentEvent, DestinationEffect> _destination =
        Stories.Destination();

    [Fact]
    public void Devices_go_to_Resuming_only_after_every_record_was_accepted()
    {
        ReachChecking();
        Assert.IsType<DestinationEffect.ConfirmSetup>(Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.SetupAnswered([], default));
        Assert.All(_destination.Pending, effect => Assert.IsType<DestinationEffect.MoveDevice>(effect));
    }

    /// <summary>Found by simulation: the session failed over and over, looking for a way from Error to Resuming.</summary>
    [Fact]
    public void A_device_that_is_broken_from_the_start_fails_the_attempt_by_name()
    {
        Order(new PrepareDestination(Id, Guest, At, "{}"));
        _destination.Tell(new DestinationCommand.IncomingLaunched("127.0.0.1:1", "00", Devices(DeviceState.Error), default));
        Assert.Equal("device.error", Assert.IsType<DestinationFailed>(_destination.Events[^1]).Code);
        Assert.Empty(_destination.Pending);
    }

    [Fact]
    public void A_refused_setup_carries_all_reasons_and_moves_nothing()
    {
        ReachChecking();
        _destination.Tell(new DestinationCommand.SetupAnswered([new("a", "", ""), new("b", "", "")], default));
        Assert.Equal(2, Assert.IsType<SetupRefused>(_destination.Events[^1]).Refusals.Count);
        Assert.Empty(_destination.Pending);
    }

    [Fact]
    public void What_is_unknown_refuses_unless_an_operator_accepted_it_by_name()
    {
        ReachChecking();
        _destination.Tell(new DestinationCommand.SetupAnswered([], default) { Unknown = [new("a", "", "")] });
        Assert.Single(Assert.IsType<SetupRefused>(_destination.Events[^1]).Refusals);
        Assert.Empty(_destination.Pending);
    }

    [Fact]
    public void What_was_accepted_and_what_is_dropped_is_on_record_before_a_device_moves()
    {
        ReachChecking(unknownAcceptedBy: "ada");
        _destination.Tell(new DestinationCommand.SetupAnswered([], default)
        {
            Unknown = [new("a", "", "")],
            Dropped = [new("net0", ["statistics"])],
        });
        var confirmed = Assert.IsType<SetupConfirmed>(_destination.Events[^1]);
        Assert.Equal(("a", "net0"), (confirmed.Unknown![0].Code, confirmed.Dropped![0].Device));
        Assert.Contains(_destination.Events, e => e is SetupCheckRequested { UnknownAcceptedBy: "ada" });
    }

    [Fact]
    public void What_says_no_refuses_whoever_accepted_the_unknown_and_tells_both()
    {
        ReachChecking(unknownAcceptedBy: "ada");
        _destination.Tell(new DestinationCommand.SetupAnswered([new("no", "", "")], default) { Unknown = [new("a", "", "")] });
        Assert.Equal(["no", "a"], Assert.IsType<SetupRefused>(_destination.Events[^1]).Refusals.Select(refusal => refusal.Code));
    }

    [Fact]
    public void No_device_leaves_Resuming_before_the_manifest_agrees()
    {
        ReachReceiving();
        Assert.IsType<DestinationEffect.Receive>(Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.StreamReceived("d", default));
        Assert.All(_destination.Pending, effect =>
            Assert.Equal(DeviceState.Stop, Assert.IsType<DestinationEffect.MoveDevice>(effect).Target));
    }

    [Fact]
    public void Nothing_runs_before_the_permit_and_the_machine_runs_last()
    {
        ReachVerified();
        Assert.Empty(_destination.Pending);
        Order(new RunGuest(Id, Guest, At));
        Assert.IsType<DestinationEffect.TakePermit>(Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.PermitVoted(default));
        while (_destination.State.Phase == DestinationPhase.Resuming)
        {
            var moves = _destination.Pending.Cast<DestinationEffect.MoveDevice>().ToList();
            if (moves.Any(move => move.Device == DeviceName.Machine))
                Assert.All(_destination.State.Members, device => Assert.Equal(DeviceState.Running, device.State));
            if (_destination.State.Members.Any(device => device is { State: DeviceState.Stop, Group: 0 }))
                Assert.DoesNotContain(moves, move => move.Target == DeviceState.Running);
            _destination.MoveAll();
        }
        Assert.IsType<GuestResumed>(_destination.Events[^1]);
    }

    [Fact]
    public void A_permitted_guest_is_never_discarded()
    {
        ReachVerified();
        Order(new RunGuest(Id, Guest, At));
        Assert.Equal("guest.permitted", Order(new DiscardIncoming(Id, Guest, Raised)));
    }

    /// <summary>Found by exploring: the permit was in the file, its answer was lost, and the only guest that might run was given up.</summary>
    /// <summary>The source heard that the transfer broke here, and the abort came back, before this side had said why.</summary>
    [Fact]
    public void What_broke_the_transfer_is_told_also_when_the_order_to_discard_comes_first()
    {
        ReachReceiving();
        Order(new DiscardIncoming(Id, Guest, Raised));
        var broken = new DestinationCommand.Failed(null, "transfer.device-sink-failed", "gpu0 is gone", default);
        _destination.Tell(new DestinationCommand.DiscardEnded(default, 0, broken));
        Assert.Equal("gpu0 is gone", Assert.IsType<DestinationFailed>(_destination.Events[^2]).Reason);
        Assert.IsType<IncomingDiscarded>(_destination.Events[^1]);
        Assert.Equal(DestinationPhase.Discarded, _destination.State.Phase);
    }

    /// <summary>Found by reading: nobody waits for anything of a device then, and the guest was given to a host where it had died.</summary>
    [Fact]
    public void A_device_that_dies_after_the_vote_and_before_the_permit_fails_the_attempt_by_name()
    {
        ReachVerified();
        _destination.Tell(new DestinationCommand.DeviceDied(new DeviceName("net0"), "net0 died", default));
        var failed = Assert.IsType<DestinationFailed>(_destination.Events[^1]);
        Assert.Equal(("destination.device-died", "net0 died"), (failed.Code, failed.Reason));
    }

    [Fact]
    public void A_device_that_dies_after_the_host_was_told_to_run_gives_nothing_back()
    {
        ReachVerified();
        Order(new RunGuest(Id, Guest, At));
        _destination.Tell(new DestinationCommand.DeviceDied(new DeviceName("net0"), "net0 died", default));
        Assert.DoesNotContain(_destination.Events, e => e is DestinationFailed);
        Assert.IsType<DestinationEffect.TakePermit>(Assert.Single(_destination.Pending));
    }

    [Fact]
    public void A_permit_whose_answer_was_lost_is_asked_for_again()
    {
        ReachVerified();
        Order(new RunGuest(Id, Guest, At));
        _destination.Tell(new DestinationCommand.Failed(null, "destination.io", "the connection broke", default));
        Assert.IsType<DestinationEffect.TakePermit>(Assert.Single(_destination.Pending));
        Assert.DoesNotContain(_destination.Events, e => e is DestinationFailed);
    }

    [Fact]
    public void A_device_that_breaks_after_the_permit_is_left_in_Error_and_the_guest_runs()
    {
        ReachVerified();
        Order(new RunGuest(Id, Guest, At));
        _destination.Tell(new DestinationCommand.PermitVoted(default));
        _destination.Tell(new DestinationCommand.Failed(new DeviceName("net0"), "destination.device-lost", "gone", default));
        while (_destination.State.Phase == DestinationPhase.Resuming) _destination.MoveAll();
        Assert.IsType<GuestResumed>(_destination.Events[^1]);
        Assert.Equal(DeviceState.Error, _destination.State.Devices["net0"].State);
    }

    [Fact]
    public void A_device_that_does_not_run_is_isolated_before_its_peers_run()
    {
        ReachVerified();
        Order(new RunGuest(Id, Guest, At));
        _destination.Tell(new DestinationCommand.PermitVoted(default));
        _destination.Tell(new DestinationCommand.Failed(
            new DeviceName("gpu0"), "destination.device-refused", "will not", default, DeviceState.Stop));
        _destination.MoveAll();
        Assert.Equal(new DestinationEffect.Isolate(new DeviceName("gpu0")), Assert.Single(_destination.Pending));
        while (_destination.State.Phase == DestinationPhase.Resuming) _destination.MoveAll();
        Assert.IsType<GuestResumed>(_destination.Events[^1]);
        Assert.Equal((DeviceState.Stop, DeviceState.Running), (State("gpu0"), State("net0")));
    }

    private DeviceState State(string device) => _destination.State.Devices[device].State;

    [Fact]
    public void A_restart_of_the_daemon_before_devices_are_ready_is_a_failure_and_after_everything_arrived_it_is_none()
    {
        ReachChecking();
        _destination.Tell(new DestinationCommand.Restarted(default));
        Assert.Equal("destination.daemon-restarted", Assert.IsType<DestinationFailed>(_destination.Events[^1]).Code);

        var loading = new DestinationMachineTests();
        loading.ReachReceiving();
        loading._destination.Tell(new DestinationCommand.StreamReceived("d", default));
        loading._destination.Tell(new DestinationCommand.Restarted(default));
        loading._destination.Tell(new DestinationCommand.TransferOpened("127.0.0.1:2", "01", default));
        loading._destination.MoveAll();
        Assert.Equal(new DestinationEffect.VoteVerified("d"), Assert.Single(loading._destination.Pending));

        var verified = new DestinationMachineTests();
        verified.ReachVerified();
        verified._destination.Tell(new DestinationCommand.Restarted(default));
        Assert.DoesNotContain(verified._destination.Events, e => e is DestinationFailed);
    }

    [Fact]
    public void A_restart_of_the_daemon_in_the_middle_of_the_transfer_opens_the_data_plane_again_and_says_where()
    {
        ReachReceiving();
        for (int opening = 1; opening <= 2; opening++)
        {
            _destination.Tell(new DestinationCommand.Restarted(default));
            _destination.Tell(new DestinationCommand.Restarted(default));
            Assert.Equal(new DestinationEffect.ReopenTransfer(opening), Assert.Single(_destination.Pending));
            _destination.Tell(new DestinationCommand.TransferOpened("127.0.0.1:2", "01", default));
            Assert.Equal(
                new TransferReopened(Id, default, "127.0.0.1:2", "01", opening), Assert.IsType<TransferReopened>(_destination.Events[^1]));
            Assert.IsType<DestinationEffect.Receive>(Assert.Single(_destination.Pending));
        }
    }

    /// <summary>The source may not have heard that all of it has arrived, and asks where the data plane is open now.</summary>
    [Fact]
    public void A_restart_of_the_daemon_after_everything_arrived_opens_the_data_plane_again_for_the_verdict()
    {
        ReachVerified();
        _destination.Tell(new DestinationCommand.Restarted(default));
        Assert.Equal(new DestinationEffect.ReopenTransfer(1), Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.TransferOpened("127.0.0.1:2", "01", default));
        Assert.Equal(
            new TransferReopened(Id, default, "127.0.0.1:2", "01", 1), Assert.IsType<TransferReopened>(_destination.Events[^1]));
        Assert.Empty(_destination.Pending);
        Assert.Null(Order(new RunGuest(Id, Guest, At)));
    }

    [Fact]
    public void An_incoming_guest_whose_coordinator_never_comes_back_is_discarded_by_name()
    {
        ReachReceiving();
        Assert.True(_destination.MayExpire);
        _destination.Tell(new DestinationCommand.Expired(TimeSpan.FromSeconds(120), default));
        Assert.Equal("incoming.expired", Assert.IsType<DestinationFailed>(_destination.Events[^2]).Code);
        Assert.Equal(new DestinationEffect.Discard(At), Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.DiscardEnded(default));
        Assert.IsType<IncomingDiscarded>(_destination.Events[^1]);
        Assert.Null(Order(new DiscardIncoming(Id, Guest, Raised)));
        Assert.Equal("command.out-of-order", Order(new CheckSetup(Id, Guest, At, NoRecords)));
    }

    /// <summary>The row may say committed: then this is the only complete copy.</summary>
    [Fact]
    public void A_guest_that_was_verified_never_expires_whatever_has_failed_since()
    {
        ReachVerified();
        Assert.False(_destination.MayExpire);
        _destination.Tell(new DestinationCommand.DeviceDied(new DeviceName("net0"), "net0 died", default));
        Assert.False(_destination.MayExpire);
        int events = _destination.Events.Count;
        _destination.Tell(new DestinationCommand.Expired(TimeSpan.FromSeconds(120), default));
        Assert.Equal(events, _destination.Events.Count);
    }

    [Fact]
    public void An_attempt_that_failed_here_expires_too_and_one_that_is_being_loaded_does_not()
    {
        ReachReceiving();
        _destination.Tell(new DestinationCommand.StreamReceived("d", default));
        Assert.False(_destination.MayExpire);
        _destination.Tell(new DestinationCommand.Failed(null, "destination.io", "it broke", default));
        Assert.True(_destination.MayExpire);
    }

    private string? Order(AgentCommand command) => _destination.Tell(new DestinationCommand.Order(command, default));

    private void ReachChecking(string? unknownAcceptedBy = null)
    {
        Order(new PrepareDestination(Id, Guest, At, "{}"));
        _destination.Tell(new DestinationCommand.IncomingLaunched(
            "127.0.0.1:1", "00", Devices(DeviceState.Stop), default));
        Order(new CheckSetup(Id, Guest, At, NoRecords, unknownAcceptedBy));
    }

    private void ReachReceiving()
    {
        ReachChecking();
        _destination.Tell(new DestinationCommand.SetupAnswered([], default));
        while (_destination.State.Phase == DestinationPhase.Arming) _destination.MoveAll();
        Assert.IsType<SetupAccepted>(_destination.Events[^1]);
    }

    private void ReachVerified()
    {
        ReachReceiving();
        _destination.Tell(new DestinationCommand.StreamReceived("d", default));
        _destination.MoveAll();
        Assert.Equal(new DestinationEffect.VoteVerified("d"), Assert.Single(_destination.Pending));
        _destination.Tell(new DestinationCommand.VerifiedVoted(new Dictionary<string, string>(), default));
    }
}
