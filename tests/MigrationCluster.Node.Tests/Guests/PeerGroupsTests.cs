using MigrationCluster.Node.Guests;

namespace MigrationCluster.Node.Tests.Guests;

public sealed class PeerGroupsTests
{
    [Theory]
    [InlineData("a b c", "a=0 b=1 c=2")]
    [InlineData("a>c b c", "a=0 b=1 c=0")]
    [InlineData("a b>a c>b d", "a=0 b=0 c=0 d=1")]
    [InlineData("a>c b>d c d>a e", "a=0 b=0 c=0 d=0 e=1")]
    public void A_group_is_everything_that_P2P_edges_connect(string devices, string expected)
    {
        var groups = PeerGroups.Of(devices.Split(' ').Select(text => text.Split('>'))
            .Select(parts => (parts[0], (IReadOnlyList<string>)parts[1..])));

        Assert.Equal(expected, string.Join(' ', groups.OrderBy(g => g.Key).Select(g => $"{g.Key}={g.Value}")));
    }
}
