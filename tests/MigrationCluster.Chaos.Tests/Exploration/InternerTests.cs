using MigrationCluster.Chaos.Exploration;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Tests.Exploration;

public sealed class InternerTests
{
    private static readonly MigrationId Id = new("m1");

    [Fact]
    public void Records_with_equal_lists_are_the_same_and_types_are_told_apart()
    {
        var interner = new Interner<AgentEvent>();
        int one = interner.Of(new SetupRefused(Id, default, [new Refusal("a", "b", "c")]));
        Assert.Equal(one, interner.Of(new SetupRefused(Id, default, [new Refusal("a", "b", "c")])));
        Assert.NotEqual(one, interner.Of(new SetupRefused(Id, default, [new Refusal("a", "b", "d")])));
        Assert.NotEqual(interner.Of(new GuestYielded(Id, default)), interner.Of(new GuestKept(Id, default)));
        Assert.Equal(0, interner.Of(null));
    }
}
