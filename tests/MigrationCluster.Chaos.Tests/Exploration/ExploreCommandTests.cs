using MigrationCluster.Chaos.Exploration;

namespace MigrationCluster.Chaos.Tests.Exploration;

public sealed class ExploreCommandTests
{
    [Theory]
    [InlineData(0, "--config", "two-attempts", "--states", "5000")]
    [InlineData(1, "--planted", "empty-cache-is-absence")]
    [InlineData(2, "--config", "no-such-configuration")]
    [InlineData(2, "--planted", "no-such-bug")]
    [InlineData(2, "--states", "0")]
    public void Its_exit_code_says_whether_a_violation_was_found(int code, params string[] arguments) =>
        Assert.Equal(code, ExploreCommand.Create().Parse(arguments).Invoke());
}
