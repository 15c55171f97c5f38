using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

public sealed class SharedPartsTests
{
    [Fact]
    public void A_shared_descriptor_says_the_same_and_keeps_equal_parts_once()
    {
        var shared = new SharedParts();
        var offers = Enumerable.Range(0, 2).Select(_ => Offer()).ToArray();
        Assert.NotSame(offers[0].Parameters[0], offers[1].Parameters[0]);

        var kept = offers.Select(shared.Share).ToArray();

        Assert.Equivalent(offers[0], kept[0], strict: true);
        Assert.Same(kept[0].Parameters[0], kept[1].Parameters[0]);
        Assert.Same(kept[0].Regions[0], kept[1].Regions[0]);
        Assert.Same(kept[0].SectionsWritten[0], kept[1].SectionsWritten[0]);
        Assert.Same(kept[0].Parameters[0].Name, kept[0].Parameters[1].Value);
    }

    private static DeviceDescriptor Offer() => DeviceDescriptor.Empty(DescriptorKind.Template) with
    {
        Model = "net",
        Regions = [new RegionDescriptor(0, 4096, true, true, false)],
        Parameters =
        [
            new ParameterDescriptor("queues", ParameterType.Number, ParameterComparator.Equal, "4", "1", SupportedValues.Range(1, 8)),
            new ParameterDescriptor("mode", ParameterType.Text, ParameterComparator.Equal, "queues", "", null),
        ],
        SectionsWritten = [new SectionDescriptor("registers", Required: true)],
        SectionsRead = ["registers"],
    };
}
