using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>The control plane under mutual TLS, whole: real nodes, a real guest.</summary>
[Collection(EndToEndTest.Name)]
public sealed class MutualTlsMovesTests
{
    [Fact]
    public async Task A_guest_moves_in_a_cluster_that_says_nothing_unsealed()
    {
        using var authority = new TestAuthority();
        await using var fleet = await Fleet.StartAsync(guest: Fleet.Spec(), authority: authority);

        await fleet.AssertMovesAsync(Fleet.Beta);

        Assert.All(await fleet.Client.ListNodesAsync(default), node => Assert.StartsWith("https://", node.Address, StringComparison.Ordinal));
        Assert.All([Fleet.Alpha, Fleet.Beta], host => Assert.DoesNotContain("refused a caller", fleet.Node(host).Log, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_restarted_coordinator_knows_its_agents_by_their_certificates()
    {
        using var authority = new TestAuthority();
        await using var fleet = await Fleet.StartAsync(guest: Fleet.Spec(), authority: authority);
        await fleet.Node(Fleet.Alpha).KillAsync();
        await fleet.StartNodeAsync(Fleet.Alpha);
        await Eventually.TrueAsync("beta answers", async () =>
            (await fleet.Client.ListNodesAsync(default)).Any(node => node is { Name: Fleet.Beta, Reachable: true }));

        await fleet.AssertMovesAsync(Fleet.Beta);
    }
}
