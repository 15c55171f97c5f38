using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Tests.Processes;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Tests.Memory;

public class GuestMapTests
{
    [Theory]
    [InlineData(16)]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(1024)]
    [InlineData(16 * 1024)]
    public void Everything_has_its_place_and_nothing_overlaps(int memoryMiB)
    {
        var spec = Specs.Full() with { MemoryMiB = memoryMiB };
        Assert.Null(GuestMap.Problem(spec));
        var map = new GuestMap(spec);
        Assert.Equal(memoryMiB * 256L, map.Layout.PageCount);
        Assert.Equal(0, map.Layout.FirstPageOf(1) % 64);

        long next = map.FirstDataPage;
        Assert.True(next * GuestMap.EntriesPerTablePage >= map.Layout.PageCount);
        for (int vcpu = 0; vcpu < spec.Vcpus.Count; vcpu++)
        {
            var (first, count) = map.Partition(vcpu);
            Assert.Equal(next, first);
            next = first + count;
        }
        var (one, size) = map.DmaArea(spec.Devices[3]);
        var (two, _) = map.DmaArea(spec.Devices[0]);
        Assert.Equal(next, one);
        Assert.Equal(one + size, two);
        Assert.Equal(map.Layout.PageCount, two + size);
        // The device sees its area as one range of addresses.
        Assert.Equal(
            map.Layout.AddressOf(one).Value + (ulong)(2 * size - 1) * 4096, map.Layout.AddressOf(map.Layout.PageCount - 1).Value);
        Assert.Equal(-1, map.Layout.PageOf(new Gpa(map.PeerWindow(spec.Devices[1]).Value)));
    }

    [Fact]
    public void A_guest_without_room_for_its_devices_is_told_so()
    {
        var nets = Enumerable.Range(0, 16).Select(i => Specs.Device($"net{i}", "net", [])).ToList();
        var spec = Specs.Still() with { MemoryMiB = 16, Devices = nets, Vcpus = Specs.Still().Vcpus with { Count = 64 } };
        Assert.Contains("leaves", GuestMap.Problem(spec), StringComparison.Ordinal);
    }
}
