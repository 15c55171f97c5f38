using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using static MigrationCluster.Protocol.Tests.Compatibility.Fleet.Templates;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

public sealed class IslandTests
{
    [Fact]
    public void Two_vendors_make_two_islands()
    {
        var other = Host("c", Queues(4, 8));
        var matrix = Build(Host("a", Queues(4, 8)), Host("b", Queues(4, 8)), other with { Offer = other.Offer! with { Model = "other.org/nic" } });
        Assert.Equal(["a b whole", "c whole"], Islands(matrix));
        Assert.Empty(matrix.OneWay);
    }

    [Fact]
    public void An_upgraded_host_takes_everything_and_gives_nothing_back()
    {
        var matrix = Build(Older(Host("old1", Queues(4, 8))), Older(Host("old2", Queues(4, 8))), Host("new", Queues(4, 8)));
        Assert.Equal(["old1 old2 whole", "new whole"], Islands(matrix));
        Assert.Equal(
            [("old1", "new", VerdictKind.Incompatible), ("old2", "new", VerdictKind.Incompatible)],
            matrix.OneWay.Select(edge => (edge.Source.Value, edge.Destination.Value, edge.Back)));
    }

    [Fact]
    public void An_island_whose_ends_do_not_meet_is_not_whole()
    {
        // The middle one exchanges devices with both, but 8 queues are too many for the one end and 2 too few for the other.
        var matrix = Build(
            Host("small", Number("queues", 4, 2, 6)), Host("middle", Number("queues", 5, 2, 8)), Host("large", Number("queues", 5, 5, 8)));
        Assert.Equal(["small middle large"], Islands(matrix));
        Assert.Equal([("large", "small")], matrix.OneWay.Select(edge => (edge.Source.Value, edge.Destination.Value)));
    }

    [Fact]
    public void A_host_without_the_class_is_on_no_island()
    {
        var matrix = Build(Host("a", Queues(4, 8)), new HostOffer(new("b"), null));
        Assert.Equal(["a whole"], Islands(matrix));
        Assert.Equal(VerdictKind.Absent, matrix[0, 1]);
    }

    private static CompatibilityMatrix Build(params HostOffer[] fleet) => CompatibilityMatrix.Build(fleet, HandlerChain.Default);

    private static string[] Islands(CompatibilityMatrix matrix) =>
        [.. matrix.Islands.Select(island => string.Join(' ', island.Hosts) + (island.IsWhole ? " whole" : ""))];
}
