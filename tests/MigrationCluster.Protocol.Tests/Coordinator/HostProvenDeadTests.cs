using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Tests.Migration;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Coordinator;

/// <summary>DESIGN's row "a whole host": as its guest process, with a fence file that nobody can read, once somebody has proved it dead.</summary>
public sealed class HostProvenDeadTests
{
    private static readonly HostName Source = new("a");
    private static readonly HostName Destination = new("b");
    private static readonly GuestRow Open = GuestRow.Start(Guest, Source, new Epoch(1)).Open(Id, Destination)!;

    private readonly Story<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> _coordinator =
        new(new CoordinatorMachine(), CoordinatorState.New);

    [Fact]
    public void A_source_host_dead_after_the_yield_is_committed_past_and_nothing_is_asked_of_it()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Prove(Source);
        Assert.Equal(new CoordinatorEffect.Decide(OwnershipDecision.Committed, false), Assert.Single(_coordinator.Pending));
        Read(Open.Commit(Id, At.Epoch)!);
        Hear(new GuestResumed(Id, default));
        Assert.Equal(MigrationPhase.Completed, _coordinator.State.Phase);
        Assert.True(_coordinator.State.Ended);
    }

    [Fact]
    public void A_source_host_dead_before_its_yield_is_known_loses_the_guest_for_its_fence_file_cannot_be_read()
    {
        ReachCommitting();
        Prove(Source);
        Assert.Equal(new CoordinatorEffect.Decide(OwnershipDecision.Aborted, false), Assert.Single(_coordinator.Pending));
        Read(Open.Abort(Id, At.Epoch)!);
        Assert.IsType<DiscardIncoming>(Assert.IsType<CoordinatorEffect.Send>(Assert.Single(_coordinator.Pending)).Command);
        Hear(new IncomingDiscarded(Id, default));
        Assert.Equal(MigrationPhase.GuestLost, _coordinator.State.Phase);
    }

    [Fact]
    public void A_destination_host_dead_before_the_decision_aborts_and_only_the_source_is_asked()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Prove(Destination);
        Read(Open.Abort(Id, At.Epoch)!);
        var keep = Assert.IsType<KeepGuest>(Assert.IsType<CoordinatorEffect.Send>(Assert.Single(_coordinator.Pending)).Command);
        Assert.Equal(At.Epoch.Next, keep.Fence.Epoch);
        Hear(new GuestKept(Id, default));
        Assert.Equal(MigrationPhase.Failed, _coordinator.State.Phase);
    }

    [Fact]
    public void A_destination_host_dead_after_the_commit_was_read_may_have_run_it_so_nobody_does()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Read(Open.Commit(Id, At.Epoch)!);
        Prove(Destination);
        Assert.Equal(MigrationPhase.GuestLost, _coordinator.State.Phase);
        Assert.Empty(_coordinator.Pending);
    }

    [Fact]
    public void A_destination_host_proven_dead_before_the_commit_was_read_was_never_told_to_run()
    {
        ReachCommitting();
        Hear(new GuestYielded(Id, default));
        Prove(Destination);
        // The swap to committed had got through, its answer was lost: what is read now settles it.
        Read(Open.Commit(Id, At.Epoch)!);
        Assert.Equal(new CoordinatorEffect.Decide(OwnershipDecision.Aborted, true), Assert.Single(_coordinator.Pending));
        Read(Open.Commit(Id, At.Epoch)!.AbortOnProof(Id, At.Epoch, Source)!);
        Assert.IsType<KeepGuest>(Assert.IsType<CoordinatorEffect.Send>(Assert.Single(_coordinator.Pending)).Command);
    }

    /// <summary>Found by `mc-chaos explore --config host-proven-dead`: everybody was done before the row said aborted, and it rolled back for ever.</summary>
    [Fact]
    public void A_guest_that_kept_itself_and_a_destination_host_that_is_dead_end_the_migration_when_the_row_says_aborted()
    {
        ReachCommitting();
        Prove(Destination);
        Hear(new GuestKept(Id, default));
        Assert.Equal(MigrationPhase.RollingBack, _coordinator.State.Phase);
        Read(Open.Abort(Id, At.Epoch)!);
        Assert.Equal(MigrationPhase.Failed, _coordinator.State.Phase);
    }

    [Fact]
    public void A_proof_is_heard_once_and_only_of_a_host_that_has_to_do_with_it()
    {
        ReachCommitting();
        int before = _coordinator.Events.Count;
        Prove(new HostName("c"));
        Assert.Equal(before, _coordinator.Events.Count);
        Prove(Destination);
        int once = _coordinator.Events.Count;
        Prove(Destination);
        Assert.Equal(once, _coordinator.Events.Count);
        Assert.Contains(_coordinator.State.Reasons, reason => reason.Message == "b is dead, on ada's word");
    }

    private void ReachCommitting()
    {
        _coordinator.Tell(new CoordinatorCommand.Begin(
            new MigrationPlan(Id, Guest, Source, Destination, At, "{}", TimeSpan.FromMilliseconds(300)), default));
        Hear(new DestinationPrepared(Id, default, "x", "y", []));
        Hear(new SetupCollected(Id, default, [], []));
        Hear(new SetupAccepted(Id, default));
        Hear(new ReadyToSwitch(Id, default, default));
        Hear(new GroupQuiet(Id, default));
        Hear(new FinalStateSent(Id, default, "same", default, new TransferTotals(0, 0, 0, new Dictionary<string, long>())));
        Hear(new DestinationVerified(Id, default, "same", new Dictionary<string, string>()));
        Assert.Equal(MigrationPhase.Committing, _coordinator.State.Phase);
    }

    private void Hear(AgentEvent e) => _coordinator.Tell(new CoordinatorCommand.Hear(e, default));

    private void Read(GuestRow row) => _coordinator.Tell(new CoordinatorCommand.RowRead(row, default));

    private void Prove(HostName host) => _coordinator.Tell(new CoordinatorCommand.HostProvenDead(host, "ada", default));
}
