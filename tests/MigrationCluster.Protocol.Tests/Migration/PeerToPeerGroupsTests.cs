using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Tests.Migration;

public sealed class PeerToPeerGroupsTests
{
    [Theory]
    [InlineData("a b c", "0 1 2")]
    [InlineData("net0>gpu0 gpu0 serial0", "0 0 1")]
    [InlineData("net0>gpu0 gpu0 serial0 net1>gpu0", "0 0 1 0")]
    [InlineData("a>c b>d c d a2>b", "0 1 0 1 1")]
    [InlineData("a>b b>a", "0 0")]
    [InlineData("a>nobody", "0")]
    public void A_group_is_a_connected_component_whatever_the_direction_of_its_edges(string devices, string expected)
    {
        var groups = PeerToPeerGroups.Of(devices.Split(' ').Select(text => text.Split('>'))
            .Select(parts => (parts[0], (IReadOnlyList<string>)parts[1..])));
        Assert.Equal(expected, string.Join(' ', groups.Values));
    }
}
