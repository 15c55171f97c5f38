using MigrationCluster.Guest.Machine;

namespace MigrationCluster.Guest.Tests.Machine;

public class VcpuThrottleTests
{
    private readonly ManualTime _time = new();
    private readonly List<int> _applied = [];

    [Fact]
    public void It_ends_by_itself_when_nobody_renews_it()
    {
        using var throttle = new VcpuThrottle(_time, _applied.Add);
        Assert.Equal(0, throttle.Set(40, TimeSpan.FromSeconds(15)));
        Assert.Equal(TimeSpan.FromSeconds(15), _time.Due);
        Assert.Equal(40, throttle.Set(50, TimeSpan.FromSeconds(15)));
        _time.Fire();
        Assert.Equal([40, 50, 0], _applied);
        Assert.Equal(Timeout.InfiniteTimeSpan, _time.Due);
    }

    [Fact]
    public void Lifted_nothing_is_left_to_expire()
    {
        using var throttle = new VcpuThrottle(_time, _applied.Add);
        throttle.Set(40, TimeSpan.FromSeconds(15));
        throttle.Lift();
        Assert.Equal([40, 0], _applied);
        Assert.Equal(Timeout.InfiniteTimeSpan, _time.Due);
    }
}
