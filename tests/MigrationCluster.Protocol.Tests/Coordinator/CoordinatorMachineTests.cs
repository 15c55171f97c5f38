using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Tests.Migration;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Coordinator;

public sealed class CoordinatorMachineTests
{
    private static readonly GuestRow Open =
        GuestRow.Start(Guest, new HostName("a"), new Epoch(1)).Open(Id, new HostName("b"))!;

    private readonly Story<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> _coordinator =
        new(new CoordinatorMachine(), CoordinatorState.New);

    [Fact]
    public void Commit_is_asked_of_the_row_only_with_both_votes()
    {
        ReachCommitting();
        Assert.IsType<YieldGuest>(Sent());
        Hear(new GuestYielded(Id, default));
        Assert.Equal(
            new CoordinatorEffect.Decide(OwnershipDecision.Committed, false), Assert.Single(_coordinator.Pending));
    }

    [Fact]
    public void Nobody_is_told_to_run_before_the_row_says_committed()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Assert.DoesNotContain(_coordinator.Pending, effect => effect is CoordinatorEffect.Send { Command: RunGuest });
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default));
        Assert.IsType<RunGuest>(Sent());
    }

    [Fact]
    public void Nobody_is_told_to_keep_before_the_row_says_aborted_and_then_under_its_raised_epoch()
    {
        Begin();
        Hear(new DestinationFailed(Id, default, "destination.io", "gone"));
        Assert.Equal(
            new CoordinatorEffect.Decide(OwnershipDecision.Aborted, false), Assert.Single(_coordinator.Pending));
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Abort(Id, At.Epoch)!, default));
        Assert.All(_coordinator.Pending.Cast<CoordinatorEffect.Send>(),
            send => Assert.Equal(At.Epoch.Next, send.Command.Fence.Epoch));
        Hear(new GuestKept(Id, default));
        Hear(new IncomingDiscarded(Id, default));
        Assert.Equal(MigrationPhase.Failed, _coordinator.State.Phase);
        Assert.Contains(_coordinator.State.Reasons, reason => reason.Code == "destination.io");
    }

    [Fact]
    public void A_digest_that_differs_aborts()
    {
        ReachStopAndCopy();
        Hear(Final("one"));
        Hear(new DestinationVerified(Id, default, "other", new Dictionary<string, string>()));
        Assert.Equal(MigrationPhase.RollingBack, _coordinator.State.Phase);
    }

    [Fact]
    public void Cancel_before_the_commit_rolls_back_and_after_it_is_too_late()
    {
        ReachStopAndCopy();
        Assert.Null(_coordinator.Tell(new CoordinatorCommand.Cancel(default)));
        Assert.Equal(MigrationPhase.RollingBack, _coordinator.State.Phase);

        var late = new CoordinatorMachineTests();
        late.ReachCommitting();
        Assert.Equal("migration.too-late-to-cancel", late._coordinator.Tell(new CoordinatorCommand.Cancel(default)));
    }

    [Fact]
    public void A_destination_lost_after_the_commit_must_be_proven_never_to_have_run()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default));
        Hear(new DestinationFailed(Id, default, "destination.guest-died", "died"));
        Assert.Equal(At.Epoch.Next, Assert.IsType<ProveNeverRan>(Sent()).Fence.Epoch);
        Hear(new ProvenNeverRan(Id, default));
        Assert.Equal(
            new CoordinatorEffect.Decide(OwnershipDecision.Aborted, true), Assert.Single(_coordinator.Pending));
    }

    [Fact]
    public void A_permit_that_may_have_been_used_loses_the_guest_and_resumes_nobody()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default));
        Hear(new DestinationFailed(Id, default, "destination.guest-died", "died"));
        Hear(new MayHaveRun(Id, default, "a permit was taken"));
        Assert.Equal(MigrationPhase.GuestLost, _coordinator.State.Phase);
        Assert.Empty(_coordinator.Pending);
    }

    [Fact]
    public void A_source_that_died_before_the_destination_was_complete_loses_the_guest_and_releases_everything()
    {
        ReachStopAndCopy();
        Hear(new SourceGuestDied(Id, default, true, "killed"));
        Hear(new DestinationFailed(Id, default, "transfer.broken", "the source is gone"));
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Abort(Id, At.Epoch)!, default));
        Assert.IsType<DiscardIncoming>(Sent());
        Hear(new IncomingDiscarded(Id, default));
        Assert.Equal(MigrationPhase.GuestLost, _coordinator.State.Phase);
    }

    /// <summary>Found by exploring: Verified was durable but not heard yet, and the only complete copy was discarded.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_source_that_died_after_the_switchover_is_followed_by_a_destination_that_turns_out_complete(bool cancelled)
    {
        ReachStopAndCopy();
        if (cancelled) _coordinator.Tell(new CoordinatorCommand.Cancel(default));
        Hear(new SourceGuestDied(Id, default, true, "killed"));
        Assert.Empty(_coordinator.Pending);
        Hear(new DestinationVerified(Id, default, "d", new Dictionary<string, string>()));
        Assert.Equal(
            new CoordinatorEffect.Decide(OwnershipDecision.Committed, false), Assert.Single(_coordinator.Pending));
    }

    [Fact]
    public void A_source_that_had_kept_the_guest_when_it_died_is_not_followed_by_an_older_copy()
    {
        ReachStopAndCopy();
        Hear(new SourceGuestDied(Id, default, false, "killed"));
        Hear(new DestinationVerified(Id, default, "d", new Dictionary<string, string>()));
        Assert.Equal(
            new CoordinatorEffect.Decide(OwnershipDecision.Aborted, false), Assert.Single(_coordinator.Pending));
    }

    [Fact]
    public void A_switchover_that_is_put_off_leads_back_to_pre_copy_and_its_death_is_then_a_source_s_like_any()
    {
        ReachQuiescing();
        Hear(new SwitchOverPutOff(Id, default, [new DeviceName("gpu0")]));
        Assert.Equal(MigrationPhase.PreCopy, _coordinator.State.Phase);
        // No alarm: a pass may take as long as it takes.
        Assert.IsType<StartPreCopy>(Assert.IsType<CoordinatorEffect.Send>(Assert.Single(_coordinator.Pending)).Command);
        Assert.False(_coordinator.State.SwitchedOver);

        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero, 2));
        Assert.Equal(MigrationPhase.Quiescing, _coordinator.State.Phase);
        Hear(new GroupQuiet(Id, default));
        Assert.Equal(MigrationPhase.StopAndCopy, _coordinator.State.Phase);
    }

    /// <summary>Found by simulation (seed 57498): the store's power took the end of the journal, and the source's feed was ahead of the destination's.</summary>
    [Fact]
    public void A_readiness_that_is_heard_before_the_destinations_acceptance_is_acted_on_after_it()
    {
        Begin();
        Hear(new DestinationPrepared(Id, default, "h2:1", "t", []));
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero, 1));
        Assert.Equal(MigrationPhase.Negotiating, _coordinator.State.Phase);
        Hear(new SetupAccepted(Id, default));
        Assert.Equal(MigrationPhase.Quiescing, _coordinator.State.Phase);
        Assert.True(_coordinator.State.SwitchedOver);
        Assert.Contains(_coordinator.Pending, effect => effect is CoordinatorEffect.Send { Command: SwitchOver { Readiness: 1 } });
    }

    [Fact]
    public void A_guest_that_runs_before_the_row_is_read_again_is_completed_by_reading_it()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Hear(new GuestResumed(Id, default));
        Assert.Equal(MigrationPhase.Committing, _coordinator.State.Phase);
        _coordinator.Tell(new CoordinatorCommand.RowRead(Open.Commit(Id, At.Epoch)!, default));
        Assert.Equal(MigrationPhase.Completed, _coordinator.State.Phase);
    }

    /// <summary>Found by simulation: the source was paused, and its coordinator waited in pre-copy for a readiness that had been.</summary>
    [Fact]
    public void A_feed_that_is_told_again_puts_no_later_switchover_off()
    {
        ReachQuiescing();
        Hear(new SwitchOverPutOff(Id, default, []));
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero, 1));
        Assert.Equal(MigrationPhase.PreCopy, _coordinator.State.Phase);
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero, 2));
        Hear(new SwitchOverPutOff(Id, default, []));
        Assert.Equal(MigrationPhase.Quiescing, _coordinator.State.Phase);
        Hear(new SwitchOverPutOff(Id, default, [], 2));
        Assert.Equal(MigrationPhase.PreCopy, _coordinator.State.Phase);
    }

    [Fact]
    public void The_source_is_told_where_the_destination_opened_again_until_it_has_sent_everything()
    {
        ReachQuiescing();
        Hear(new SwitchOverPutOff(Id, default, []));
        Hear(new TransferReopened(Id, default, "127.0.0.1:2", "01", 1));
        AssertReconnects();
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero, 2));
        AssertReconnects();
        Hear(new GroupQuiet(Id, default));
        AssertReconnects();
        Hear(Final("d"));
        Assert.IsType<SwitchOver>(Sent());

        void AssertReconnects() => Assert.Contains(_coordinator.Pending, effect =>
            effect is CoordinatorEffect.Send { Command: ReconnectTransfer { DataEndpoint: "127.0.0.1:2", Token: "01", Opening: 1 } });
    }

    /// <summary>Found by exploring: nothing was left to be told to anybody, and so nothing ended the migration.</summary>
    [Fact]
    public void A_migration_whose_guest_died_on_both_hosts_ends()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        var committed = Open.Commit(Id, At.Epoch)!;
        _coordinator.Tell(new CoordinatorCommand.RowRead(committed, default));
        Hear(new SourceGuestDied(Id, default, true, "killed"));
        Hear(new DestinationFailed(Id, default, "destination.guest-died", "died"));
        Hear(new ProvenNeverRan(Id, default));
        _coordinator.Tell(new CoordinatorCommand.RowRead(committed.AbortOnProof(Id, At.Epoch, new HostName("a"))!, default));
        Assert.Equal(MigrationPhase.GuestLost, _coordinator.State.Phase);
    }

    [Fact]
    public void A_later_term_is_on_every_command()
    {
        Begin();
        _coordinator.Tell(new CoordinatorCommand.TakeOver(new Term(4), default));
        Assert.Equal(new Term(4), Sent().Fence.Term);
    }

    [Fact]
    public void The_destination_is_told_the_sources_configuration_and_who_accepts_the_unknown()
    {
        var configuration = new DeviceConfiguration("net0", new Dictionary<string, string> { ["queues"] = "8" });
        Begin([configuration], "ada");
        Assert.Same(configuration, Assert.IsType<PrepareDestination>(Sent()).Configuration![0]);
        Hear(new DestinationPrepared(Id, default, "127.0.0.1:1", "00", []));
        Hear(new SetupCollected(Id, default, NoRecords, []));
        Assert.Equal("ada", Assert.IsType<CheckSetup>(Sent()).UnknownAcceptedBy);
    }

    [Fact]
    public void What_the_real_devices_drop_is_journaled()
    {
        Begin();
        Hear(new SetupConfirmed(Id, default, [new DroppedSections("net0", ["statistics"])]));
        Assert.Contains(_coordinator.Events, e => e is CoordinatorEvent.Observed { Event: SetupConfirmed { Dropped.Count: 1 } });
    }

    private void Hear(AgentEvent heard) => _coordinator.Tell(new CoordinatorCommand.Hear(heard, default));

    private AgentCommand Sent() => Assert.Single(_coordinator.Pending.OfType<CoordinatorEffect.Send>()).Command;

    private void Begin(IReadOnlyList<DeviceConfiguration>? configuration = null, string? unknownAcceptedBy = null) =>
        _coordinator.Tell(new CoordinatorCommand.Begin(
            new MigrationPlan(
                Id, Guest, new HostName("a"), new HostName("b"), At, "{}", TimeSpan.FromSeconds(1), configuration, unknownAcceptedBy),
            default));

    private void ReachQuiescing()
    {
        Begin();
        Hear(new DestinationPrepared(Id, default, "127.0.0.1:1", "00", []));
        Hear(new SetupCollected(Id, default, NoRecords, []));
        Hear(new SetupAccepted(Id, default));
        Hear(new ReadyToSwitch(Id, default, TimeSpan.Zero));
        Assert.Equal(MigrationPhase.Quiescing, _coordinator.State.Phase);
    }

    private void ReachStopAndCopy()
    {
        ReachQuiescing();
        Hear(new GroupQuiet(Id, default));
        Assert.Equal(MigrationPhase.StopAndCopy, _coordinator.State.Phase);
    }

    private void ReachCommitting()
    {
        ReachStopAndCopy();
        Hear(new DestinationVerified(Id, default, "d", new Dictionary<string, string>()));
        Hear(Final("d"));
        Assert.Equal(MigrationPhase.Committing, _coordinator.State.Phase);
    }

    private static FinalStateSent Final(string digest) =>
        new(Id, default, digest, default, new TransferTotals(0, 0, 0, new Dictionary<string, long>()));
}
