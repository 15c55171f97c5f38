using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Coordination;

public sealed class PlanIdTests
{
    private static readonly HostName Alpha = new("alpha"), Beta = new("beta");

    [Fact]
    public void The_same_facts_are_the_same_plan_whoever_works_it_out()
    {
        string plan = Of().Text;
        Assert.Equal(plan, Of().Text);
        Assert.True(PlanId.IsWellFormed(plan));
        Assert.EndsWith(Of().InventoryVersion, plan);
        Assert.Empty(Of().ChangedSince(plan));
        Assert.True(PlanId.LeadsTo(plan, Beta));
        Assert.False(PlanId.LeadsTo(plan, Alpha));
    }

    [Fact]
    public void What_changed_is_named_and_nothing_else()
    {
        string plan = Of().Text;
        Assert.Equal(["what beta offers"], Of(betaOffers: "2").ChangedSince(plan));
        Assert.Equal(["what alpha offers"], Of(alphaOffers: "2").ChangedSince(plan));
        Assert.Equal(["the guest's spec"], Of(spec: """{"name":"web","memoryMiB":128}""").ChangedSince(plan));
        Assert.Equal(["the guest's devices"], Of(setup: new GuestSetup([], [])).ChangedSince(plan));
        Assert.Contains("epoch 9", Assert.Single(Of(epoch: 9).ChangedSince(plan)));
        Assert.Equal(["the guest", "the destination"], PlanId.Of(Guest("db", 1, Spec, "1", null), new HostName("gamma"), Offers("1")).ChangedSince(plan)
            .Where(fact => !fact.StartsWith("what ", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("")]
    [InlineData("p-")]
    [InlineData("p-aaaa-bbbb-cccc-dddd-eeee-ffff")]
    [InlineData("p-aaaa-bbbb-cccc-dddd-eeee-ffff-ggg")]
    [InlineData("p-aaaa-bbbb-cccc-dddd-eeee-ffff-GGGG")]
    [InlineData("m-aaaa-bbbb-cccc-dddd-eeee-ffff-gggg")]
    public void What_is_no_plan_is_not_taken_for_one(string text) => Assert.False(PlanId.IsWellFormed(text));

    private const string Spec = """{"name":"web","memoryMiB":64}""";

    private static PlanId Of(
        ulong epoch = 1, string spec = Spec, string alphaOffers = "1", string betaOffers = "1", GuestSetup? setup = null) =>
        PlanId.Of(Guest("web", epoch, spec, alphaOffers, setup), Beta, Offers(betaOffers));

    private static PlannedGuest Guest(string name, ulong epoch, string spec, string offers, GuestSetup? setup) => new(
        new GuestRecord(GuestRow.Start(new GuestName(name), Alpha, new Epoch(epoch)), spec, Placement.Placed),
        new GuestSpec(name, 64, new VcpuSpec(1, "uniform", 0), []), setup, Offers(offers));

    private static AgentOffers Offers(string digest) => AgentOffers.Untold([]) with { Digest = digest };
}
