using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Tests.Migration;

public sealed class PeerToPeerGroupsTests
{
    [Fact]
    public void A_group_is_a_connected_component_whatever_the_direction_of_its_edges()
    {
        var groups = PeerToPeerGroups.Of(["net0", "gpu0", "serial0", "net1"], [("net0", "gpu0"), ("net1", "gpu0")]);
        Assert.Equal(groups["net0"], groups["gpu0"]);
        Assert.Equal(groups["net1"], groups["gpu0"]);
        Assert.NotEqual(groups["net0"], groups["serial0"]);
    }

    [Fact]
    public void A_device_without_edges_is_alone() =>
        Assert.Equal(3, PeerToPeerGroups.Of(["a", "b", "c"], []).Values.Distinct().Count());
}
