using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Tests.Ownership;

public sealed class FenceRecordTests
{
    private static readonly FenceRecord Owner =
        new(new GuestName("g"), new Fence(new Epoch(3), new Term(1)), GuestRole.Owner);

    private static readonly FenceRecord Incoming = Owner with { Role = GuestRole.Incoming };

    [Theory]
    [InlineData(2, 9)]
    [InlineData(3, 0)]
    public void Refuses_an_older_fence(ulong epoch, ulong term) =>
        Assert.Null(Owner.TryRaise(new Fence(new Epoch(epoch), new Term(term))));

    [Fact]
    public void Kept_and_yielded_exclude_each_other_within_an_epoch()
    {
        var kept = Owner.TryCast(Vote.Kept).Record!;
        Assert.Contains("Kept", kept.TryCast(Vote.Yielded).Refusal);
        var yielded = Owner.TryCast(Vote.Yielded).Record!;
        Assert.Contains("Yielded", yielded.TryCast(Vote.Kept).Refusal);
    }

    [Fact]
    public void A_yielded_owner_may_run_again_only_under_a_higher_epoch()
    {
        var yielded = Owner.TryCast(Vote.Yielded).Record!;
        Assert.False(yielded.MayRun);
        Assert.False(yielded.TryRaise(new Fence(new Epoch(3), new Term(9)))!.MayRun);
        Assert.True(yielded.TryRaise(new Fence(new Epoch(4), new Term(1)))!.MayRun);
    }

    [Fact]
    public void An_incoming_guest_runs_only_with_a_permit_and_takes_it_only_once_verified()
    {
        Assert.NotNull(Incoming.TryCast(Vote.Permit).Refusal);
        var verified = Incoming.TryCast(Vote.Verified, "d").Record!;
        Assert.False(verified.MayRun);
        Assert.True(verified.TryCast(Vote.Permit).Record!.MayRun);
    }

    [Fact]
    public void A_raised_epoch_voids_the_vote_that_a_permit_would_need()
    {
        var verified = Incoming.TryCast(Vote.Verified, "d").Record!;
        var raised = verified.TryRaise(new Fence(new Epoch(4), new Term(1)))!;
        Assert.NotNull(raised.TryCast(Vote.Permit).Refusal);
    }

    [Fact]
    public void The_same_vote_again_changes_nothing_and_another_digest_is_refused()
    {
        var verified = Incoming.TryCast(Vote.Verified, "d").Record!;
        Assert.Equal(verified, verified.TryCast(Vote.Verified, "d").Record);
        Assert.Null(verified.TryCast(Vote.Verified, "other").Record);
    }
}
