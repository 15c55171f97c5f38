using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Protocol.Tests.Convergence;

public sealed class SwitchoverRuleTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(300);

    [Fact]
    public void Refuses_switchover_before_initial_bytes_are_acked() =>
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(new PassObservation(2, 0, 1e9, false), null, Limit));

    [Fact]
    public void Refuses_switchover_when_a_device_takes_its_readiness_back_after_a_pass_that_was_ready() =>
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(
            new PassObservation(4, 0, 1e9, false), new PassObservation(3, 0, 1e9, true), Limit));

    [Fact]
    public void Switches_when_the_predicted_downtime_fits() =>
        Assert.IsType<SwitchNow>(SwitchoverRule.Judge(
            new PassObservation(3, 8 << 20, 1e9, true), new PassObservation(2, 9 << 20, 1e9, true), Limit));

    [Fact]
    public void Iterates_while_the_predicted_downtime_is_too_long() =>
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(
            new PassObservation(3, 800 << 20, 1e9, true), new PassObservation(2, 900 << 20, 1e9, true), Limit));

    [Fact]
    public void The_limit_is_a_bound_and_not_a_budget_while_passes_still_shrink_by_half() =>
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(
            new PassObservation(2, 100 << 20, 1e9, true), new PassObservation(1, 900 << 20, 1e9, true), Limit));

    [Fact]
    public void Gives_up_with_the_bottleneck_after_the_last_pass()
    {
        var verdict = SwitchoverRule.Judge(
            new PassObservation(SwitchoverRule.MaxIterations, 2000L << 20, 1e8, true), null, Limit);
        Assert.Contains("2000 MiB", Assert.IsType<GiveUp>(verdict).Reason);
    }

    [Fact]
    public void Knows_no_bandwidth_so_predicts_no_downtime() =>
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(new PassObservation(1, 1 << 20, 0, true), null, Limit));
}
