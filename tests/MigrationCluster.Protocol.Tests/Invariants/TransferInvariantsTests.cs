using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Tests.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Invariants;

public sealed class TransferInvariantsTests
{
    private static readonly TransferObservation Calm = new(
        SetupAccepted: true, [Stories.Device("net0", Stories.All, 0)], Loading: false, [], DestinationRuns: false, DestinationLacksPages: true);

    [Fact]
    public void A_source_device_that_left_Running_before_every_record_was_accepted_is_named()
    {
        var moved = Calm with { SetupAccepted = false, SourceDevices = [Stories.Device("net0", Stories.All, 0, DeviceState.PreCopy)] };
        Assert.Equal("NegotiatedBeforeMoved", Assert.Single(TransferInvariants.Check(moved)).Invariant);
        Assert.Empty(TransferInvariants.Check(moved with { SetupAccepted = true }));
        Assert.Empty(TransferInvariants.Check(
            moved with { SourceDevices = [Stories.Device("net0", Stories.All, 0, DeviceState.Error)] }));
    }

    [Fact]
    public void A_destination_device_that_left_Resuming_while_data_arrives_is_named()
    {
        var half = Calm with { Loading = true, DestinationDevices = [Stories.Device("net0", Stories.All, 0, DeviceState.Stop)] };
        Assert.Equal("NeverHalfLoaded", Assert.Single(TransferInvariants.Check(half)).Invariant);
        Assert.Empty(TransferInvariants.Check(half with { Loading = false }));
    }

    [Fact]
    public void A_destination_may_lack_pages_only_as_long_as_it_does_not_run()
    {
        Assert.Empty(TransferInvariants.Check(Calm));
        Assert.Equal("NoDirtyPageLost", Assert.Single(TransferInvariants.Check(Calm with { DestinationRuns = true })).Invariant);
    }
}
