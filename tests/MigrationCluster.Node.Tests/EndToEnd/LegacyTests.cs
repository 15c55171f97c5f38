using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A device that cannot be P2P-quiet: alone it moves, with an edge it stays, unless the edge may be unmapped for the blackout.</summary>
[Collection(EndToEndTest.Name)]
public sealed class LegacyTests
{
    private const string Templates = """
        { "memoryMiB": 256, "templates": {
            "net": { "model": "net", "parameters": { "dma-rate": "2", "p2p-rate": "100" } },
            "gpu": { "model": "gpu", "parameters": { "memory-mib": "8", "dirty-rate": "8" } },
            "legacy": { "model": "legacy", "parameters": { "dma-rate": "2", "p2p-rate": "100" } } } }
        """;

    [Fact]
    public async Task Alone_it_moves_with_an_edge_it_is_refused_by_name_and_with_one_that_may_go_it_moves_at_a_price()
    {
        await using var fleet = await Fleet.StartAsync(alphaConfiguration: Templates, betaConfiguration: Templates, guest: Guest([]));
        await fleet.AssertMovesAsync(Fleet.Beta);
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);

        await fleet.StartGuestAsync(Guest(["gpu0"]));
        var refused = await Assert.ThrowsAsync<ApiException>(() => fleet.MigrateAsync(Fleet.Beta));
        var reasons = refused.Error.Reasons.Where(reason => reason.Code == "group.not-quiet").ToList();
        Assert.All(reasons, reason => Assert.Equal("legacy0", reason.Device));
        Assert.Contains(reasons, reason => reason.Message.Contains("legacy0 into gpu0", StringComparison.Ordinal));
        await fleet.AssertRunsAsync(Fleet.Alpha);
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);

        await fleet.StartGuestAsync(Guest(["gpu0"], removable: true));
        var moved = await fleet.AssertMovesAsync(Fleet.Beta);
        Assert.Contains("legacy0's writes are held", Assert.Single(moved.Plan!.Quiesce!.Costs), StringComparison.Ordinal);
        Assert.Equal(["net0", "gpu0"], Assert.Single(moved.Plan.Quiesce.Groups));
    }

    private static GuestSpec Guest(string[] peers, bool removable = false) => new(
        Fleet.Guest, 32, new VcpuSpec(1, "hotset", 8),
        [
            new DeviceSpec("net0", "net", ["gpu0"]), new DeviceSpec("gpu0", "gpu"),
            new DeviceSpec("legacy0", "legacy", peers.Length == 0 ? null : peers, removable),
        ]);
}
