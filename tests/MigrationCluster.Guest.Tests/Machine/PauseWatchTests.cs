using MigrationCluster.Guest.Machine;

namespace MigrationCluster.Guest.Tests.Machine;

public class PauseWatchTests
{
    private readonly ManualTime _time = new();
    private int _expired;

    [Fact]
    public void It_expires_once_after_a_pause_as_long_as_its_deadline()
    {
        using var watch = new PauseWatch(_time, () => _expired++);
        watch.SetDeadline(TimeSpan.FromSeconds(5));
        Assert.Equal(Timeout.InfiniteTimeSpan, _time.Due);
        watch.OnPaused();
        Assert.Equal(TimeSpan.FromSeconds(5), _time.Due);
        _time.Fire();
        Assert.Equal(1, _expired);
    }

    [Fact]
    public void Without_a_deadline_it_never_expires_and_one_set_late_counts_from_then()
    {
        using var watch = new PauseWatch(_time, () => _expired++);
        watch.OnPaused();
        Assert.Equal(Timeout.InfiniteTimeSpan, _time.Due);
        watch.SetDeadline(TimeSpan.FromSeconds(2));
        Assert.Equal(TimeSpan.FromSeconds(2), _time.Due);
    }

    [Fact]
    public void Resuming_or_yielding_disarms_it_until_the_next_pause()
    {
        using var watch = new PauseWatch(_time, () => _expired++);
        watch.SetDeadline(TimeSpan.FromSeconds(5));
        watch.OnPaused();
        watch.Disarm();
        Assert.Equal(Timeout.InfiniteTimeSpan, _time.Due);
        watch.OnPaused();
        Assert.Equal(TimeSpan.FromSeconds(5), _time.Due);
    }
}
