using MigrationCluster.Chaos.Simulation;

namespace MigrationCluster.Chaos.Tests.Simulation;

public sealed class SimulateCommandTests
{
    [Theory]
    [InlineData(0, "--seed", "3", "--count", "4", "--jobs", "2")]
    [InlineData(1, "--planted", "commit-without-yield")]
    [InlineData(2, "--planted", "no-such-bug")]
    [InlineData(2, "--count", "0")]
    public async Task Its_exit_code_says_whether_a_violation_was_found(int code, params string[] arguments) =>
        Assert.Equal(code, await SimulateCommand.Create().Parse(arguments).InvokeAsync());
}
