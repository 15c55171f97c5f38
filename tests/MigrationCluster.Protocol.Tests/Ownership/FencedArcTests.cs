using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Migration.Stories;

namespace MigrationCluster.Protocol.Tests.Ownership;

public sealed class FencedArcTests
{
    private static readonly FenceRecord Owner = new(Guest, At, GuestRole.Owner);

    [Fact]
    public void Nothing_leaves_Stop_for_a_running_state_without_a_permit_or_after_the_yield()
    {
        Assert.Null(Refusal(Owner, DeviceState.Stop, DeviceState.Running));
        Assert.Contains("no permit", Refusal(Owner with { Role = GuestRole.Incoming }, DeviceState.Stop, DeviceState.RunningP2P));
        Assert.Contains("Yielded", Refusal(Owner with { Yielded = true }, DeviceState.Stop, DeviceState.Running));
    }

    [Fact]
    public void What_an_owner_holds_is_not_loaded_over() =>
        Assert.Contains("owns the guest", Refusal(Owner, DeviceState.Stop, DeviceState.Resuming));

    [Fact]
    public void A_kept_guest_only_goes_back_to_Running()
    {
        var kept = Owner with { Kept = true };
        Assert.NotNull(Refusal(kept, DeviceState.Running, DeviceState.PreCopy));
        Assert.NotNull(Refusal(kept, DeviceState.RunningP2P, DeviceState.Stop));
        Assert.Null(Refusal(kept, DeviceState.StopCopy, DeviceState.Stop));
        Assert.Null(Refusal(kept, DeviceState.RunningP2P, DeviceState.Running));
    }

    private static string? Refusal(FenceRecord record, DeviceState from, DeviceState to) =>
        FencedArc.Refusal(record, "net0", from, to);
}
