using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Tests.Compatibility.Descriptors;

namespace MigrationCluster.Protocol.Tests.Compatibility.Threads;

/// <summary>
/// What 001_bc76a1a36306e397.txt means for two devices; groups, allowed actions and interrupts are shown where they are built
/// (docs/compatibility.md lists the tests).
/// </summary>
public sealed class T001QuiescentTests
{
    [Fact]
    public void T001_a_device_that_can_be_quiet_does_not_move_to_one_that_cannot()
    {
        var hns = Nic() with { Capabilities = MigrationCapabilities.StopCopy };
        Refuses(Nic(), hns, "device.capability-missing");
        Accepts(hns, Nic());
    }

    [Fact]
    public void T001_a_pair_that_cannot_be_quiet_is_compatible_by_itself()
    {
        var hns = Nic() with { Capabilities = MigrationCapabilities.StopCopy };
        Accepts(hns, hns);
    }
}
