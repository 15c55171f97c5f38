using MigrationCluster.Devices.Faults;

namespace MigrationCluster.Devices.Tests.Faults;

public sealed class FailpointsTests : IDisposable
{
    private static readonly string[] Known = [.. Failpoints.Around("test", "Step"), "test:effect:Act"];

    public void Dispose() => Failpoints.Arm(null, []);

    [Fact]
    public void What_is_not_armed_does_nothing()
    {
        Failpoints.Arm("", Known);
        Assert.False(Failpoints.Armed);
        Failpoints.Reach("test", "before", "Step");
        Failpoints.Arm("test:after:Step=fail", Known);
        Assert.True(Failpoints.Armed);
        Failpoints.Reach("test", "before", "Step");
    }

    [Fact]
    public void It_fires_at_the_time_it_is_armed_for_and_only_then()
    {
        Failpoints.Arm("test:before:Step@2=fail; test:effect:Act=delay:1", Known);
        Failpoints.Reach("test", "before", "Step");
        Failpoints.Reach("test", "effect", "Act");
        var failure = Assert.Throws<IOException>(() => Failpoints.Reach("test", "before", "Step"));
        Assert.Equal("failpoint test:before:Step", failure.Message);
        Failpoints.Reach("test", "before", "Step");
    }

    [Theory]
    [InlineData("test:before:Stop=kill", "there is no failpoint 'test:before:Stop'")]
    [InlineData("test:before:Step", "is no failpoint: expected NAME=ACTION")]
    [InlineData("test:before:Step=die", "'die' is no action of a failpoint")]
    [InlineData("test:before:Step=delay:soon", "'delay:soon' is no action of a failpoint")]
    [InlineData("test:before:Step@0=kill", "after @ comes a number from 1 on")]
    [InlineData("test:before:Step@x=kill", "after @ comes a number from 1 on")]
    public void What_is_wrong_is_refused_by_name(string text, string expected) => Assert.Contains(
        expected, Assert.Throws<FormatException>(() => Failpoints.Arm(text, Known)).Message, StringComparison.Ordinal);
}
