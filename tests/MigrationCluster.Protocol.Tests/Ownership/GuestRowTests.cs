using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Tests.Ownership;

public sealed class GuestRowTests
{
    private static readonly MigrationId Attempt = new("m-1");
    private static readonly HostName A = new("a"), B = new("b");
    private static readonly GuestRow Settled = GuestRow.Start(new GuestName("g"), A, new Epoch(1));
    private static readonly GuestRow Open = Settled.Open(Attempt, B)!;

    [Fact]
    public void An_attempt_raises_the_epoch_and_leaves_the_owner() =>
        Assert.Equal((new Epoch(2), A, OwnershipDecision.Undecided), (Open.Epoch, Open.Owner, Open.Decision));

    [Fact]
    public void A_second_attempt_waits_for_the_decision() => Assert.Null(Open.Open(new MigrationId("m-2"), B));

    [Fact]
    public void Undecided_is_left_once()
    {
        Assert.Null(Open.Commit(Attempt, new Epoch(2))!.Abort(Attempt, new Epoch(2)));
        Assert.Null(Open.Abort(Attempt, new Epoch(2))!.Commit(Attempt, new Epoch(2)));
    }

    [Fact]
    public void Another_attempt_or_epoch_decides_nothing()
    {
        Assert.Null(Open.Commit(new MigrationId("m-2"), new Epoch(2)));
        Assert.Null(Open.Commit(Attempt, new Epoch(1)));
    }

    [Fact]
    public void Committed_becomes_aborted_only_on_proof_and_gives_the_guest_back()
    {
        var committed = Open.Commit(Attempt, new Epoch(2))!;
        Assert.Equal(B, committed.Owner);
        var aborted = committed.AbortOnProof(Attempt, new Epoch(2), A)!;
        Assert.Equal((A, new Epoch(3), OwnershipDecision.Aborted), (aborted.Owner, aborted.Epoch, aborted.Decision));
    }
}
