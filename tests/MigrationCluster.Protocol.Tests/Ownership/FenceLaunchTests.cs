using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Ownership;

public sealed class FenceLaunchTests
{
    private static readonly FenceRecord Incoming = new(Guest, At, GuestRole.Incoming);

    [Fact]
    public void A_higher_epoch_starts_a_new_story_and_an_older_one_is_refused()
    {
        var verified = Incoming with { VerifiedDigest = "d" };
        Assert.Equal(new FenceRecord(Guest, Raised, GuestRole.Incoming), Launch(verified, Raised, incoming: true).Record);
        Assert.Contains("newer", Launch(Incoming with { Fence = Raised }, At, incoming: true).Refusal);
    }

    [Fact]
    public void At_the_stored_epoch_nothing_that_promised_something_starts_again()
    {
        Assert.NotNull(Launch(Incoming, At, incoming: true).Record);
        Assert.Contains("Verified", Launch(Incoming with { VerifiedDigest = "d" }, At, incoming: true).Refusal);
        var owner = new FenceRecord(Guest, At, GuestRole.Owner);
        Assert.NotNull(Launch(owner, At, incoming: false).Record);
        Assert.Contains("Yielded", Launch(owner with { Yielded = true }, At, incoming: false).Refusal);
        Assert.Contains("no permit", Launch(Incoming, At, incoming: false).Refusal);
    }

    private static (FenceRecord? Record, string? Refusal) Launch(FenceRecord stored, Fence fence, bool incoming) =>
        FenceLaunch.Decide(stored, Guest, fence, incoming);
}
