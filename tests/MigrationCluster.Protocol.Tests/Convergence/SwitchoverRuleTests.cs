using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Protocol.Tests.Convergence;

public sealed class SwitchoverRuleTests
{
    private const long MiB = 1 << 20;
    private static readonly ConvergencePolicy Policy = new(TimeSpan.FromMilliseconds(300));

    /// <summary>Between hosts that were seen often: everything but bytes takes 50 ms, nearly always.</summary>
    private static readonly LearnedCosts Seen = new(
        new(10, 1), new(5, 1), new(5, 1), new(5, 1), new(5, 1), new(5, 1), new(5, 1), new(10, 1),
        [], new(1000 * MiB, 50 * MiB), 0, 1, new ErrorQuantiles(0, 1.7, 2.4, 100), 100);

    [Fact]
    public void Refuses_switchover_before_initial_bytes_are_acked() =>
        Assert.IsType<IterateAgain>(Judge(Pass(1, 1, 512, 0) with { InitialBytesLoaded = false }));

    [Fact]
    public void Initial_bytes_that_are_never_loaded_end_it_at_the_limit_of_passes()
    {
        var verdict = SwitchoverRule.Judge(
            [Pass(3, 1, 512, 0) with { InitialBytesLoaded = false }], Seen, Policy with { MaxIterations = 3, OnStall = StallAction.Switch });
        Assert.Contains("initial bytes", Assert.IsType<GiveUp>(verdict).Reason);
    }

    [Fact]
    public void Switches_when_p99_fits_and_another_pass_gains_little() =>
        Assert.IsType<SwitchNow>(Judge(Pass(1, 1, 1000, 40), Pass(2, 0.05, 40, 2)));

    [Fact]
    public void A_median_that_fits_is_not_enough()
    {
        var sure = Judge(Pass(1, 1, 1000, 150), Pass(2, 0.15, 150, 150));
        Assert.IsType<SwitchNow>(sure);
        var unsure = SwitchoverRule.Judge(
            [Pass(1, 1, 1000, 150), Pass(2, 0.15, 150, 150)], Seen with { Errors = new ErrorQuantiles(0, 4, 9, 100) }, Policy);
        Assert.True(unsure.Prediction.P50 < Policy.MaxDowntime);
        Assert.IsNotType<SwitchNow>(unsure);
    }

    [Fact]
    public void The_limit_is_a_bound_and_no_budget()
    {
        // 150 MiB would fit, but a pass of 0.15 s leaves next to nothing of what a second left.
        var verdict = Judge(Pass(1, 1, 2000, 150));
        Assert.True(verdict.Prediction.P99 < Policy.MaxDowntime);
        Assert.IsType<IterateAgain>(verdict);
    }

    [Fact]
    public void Nothing_is_predicted_from_a_pass_that_sent_nothing() =>
        Assert.True(SwitchoverRule.Judge([Pass(1, 1, 0, 1)], LearnedCosts.Assumed, Policy).Prediction.IsEndless);

    [Fact]
    public void A_guest_that_dirties_more_than_the_link_takes_is_named_by_the_third_pass_with_remedies()
    {
        var passes = Saturated(count: 3, dmaMiB: 0);
        var stall = Assert.IsType<IterateAgain>(SwitchoverRule.Judge(passes, Seen, Policy)).Stall!;
        Assert.Equal(StallCause.DirtyRate, stall.Cause);
        Assert.Contains("100 MiB/s", stall.Bottleneck);
        Assert.Contains(stall.Remedies, remedy => remedy.Contains("--max-downtime"));
        Assert.Contains(stall.Remedies, remedy => remedy.Contains($"slow the vCPUs by {stall.ThrottlePercent} %"));
        Assert.Contains(stall.Remedies, remedy => remedy.Contains("a link of"));
    }

    [Fact]
    public void The_limit_that_a_stall_names_is_enough()
    {
        var passes = Saturated(count: 4, dmaMiB: 0);
        double reachable = SwitchoverRule.FindStall(passes, Seen, Policy)!.ReachableMs;
        Assert.IsType<SwitchNow>(SwitchoverRule.Judge(passes, Seen, new ConvergencePolicy(TimeSpan.FromMilliseconds(reachable * 1.1))));
    }

    [Fact]
    public void Slower_vCPUs_never_help_against_device_DMA()
    {
        var stall = SwitchoverRule.FindStall(Saturated(count: 3, dmaMiB: 900), Seen, Policy)!;
        Assert.Null(stall.ThrottlePercent);
        Assert.Contains(stall.Remedies, remedy => remedy.Contains("do not help") && remedy.Contains("DMA"));
    }

    [Fact]
    public void A_device_without_a_dirty_log_is_named()
    {
        var stall = SwitchoverRule.FindStall(
            [.. Saturated(3, 900).Select(pass => pass with { Devices = [new DevicePass("old0", "old", false, TracksDirty: false)] })], Seen, Policy)!;
        Assert.Equal(StallCause.NoDirtyTracking, stall.Cause);
        Assert.Contains("old0", stall.Bottleneck);
    }

    [Fact]
    public void A_device_that_saves_or_loads_slowly_is_named()
    {
        var slow = new DeviceCost("gpu", new(1, 1), new(1, 1), default, new(64 * MiB, MiB), new(1, 1), new(1, 1), 64 * MiB);
        PassObservation With(PassObservation pass) => pass with { Devices = [new DevicePass("gpu0", "gpu", false)] };
        var stall = SwitchoverRule.FindStall([With(Pass(1, 1, 1000, 5)), With(Pass(2, 0.05, 5, 1))], Seen with { Devices = [slow] }, Policy)!;
        Assert.Equal(StallCause.SlowDevice, stall.Cause);
        Assert.Contains("gpu0", stall.Bottleneck);
        Assert.Null(stall.ThrottlePercent);
    }

    [Fact]
    public void A_link_that_an_operator_holds_down_is_named()
    {
        var stall = SwitchoverRule.FindStall([.. Saturated(3, 0).Select(pass => pass with { Capped = true })], Seen, Policy)!;
        Assert.Equal(StallCause.CappedLink, stall.Cause);
    }

    [Fact]
    public void A_limit_below_what_votes_and_barriers_take_is_named() => Assert.Equal(
        StallCause.FixedCosts,
        SwitchoverRule.FindStall([Pass(1, 1, 1000, 5), Pass(2, 0.05, 5, 0)], Seen, new ConvergencePolicy(TimeSpan.FromMilliseconds(20)))!.Cause);

    [Fact]
    public void An_abort_waits_whether_the_guest_changes_its_ways()
    {
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(Saturated(3, 0), Seen, Policy));
        var gaveUp = Assert.IsType<GiveUp>(SwitchoverRule.Judge(Saturated(5, 0), Seen, Policy));
        Assert.Contains("--max-downtime", gaveUp.Reason);
        // Between them it has stopped writing.
        Assert.IsNotType<GiveUp>(SwitchoverRule.Judge([.. Saturated(5, 0), Pass(6, 1, 100, 2)], Seen, Policy));
    }

    [Fact]
    public void A_throttle_is_raised_pass_by_pass_and_helps_only_if_it_can()
    {
        var policy = Policy with { OnStall = StallAction.Throttle };
        var first = Assert.IsType<IterateAgain>(SwitchoverRule.Judge(Saturated(3, 0), Seen, policy));
        Assert.InRange(first.ThrottlePercent, 10, 99);
        var throttled = Saturated(2, 0).Select(pass => pass with { ThrottlePercent = 40 }).ToList();
        Assert.True(Assert.IsType<IterateAgain>(SwitchoverRule.Judge(throttled, Seen, policy)).ThrottlePercent > 40);
        Assert.IsType<GiveUp>(SwitchoverRule.Judge(Saturated(5, 900), Seen, policy));
    }

    [Fact]
    public void A_policy_of_switching_does_so_once_passes_do_not_help_and_says_why()
    {
        var verdict = Assert.IsType<SwitchNow>(SwitchoverRule.Judge(Saturated(3, 0), Seen, Policy with { OnStall = StallAction.Switch }));
        Assert.NotNull(verdict.Stall);
        Assert.True(verdict.Prediction.P50 > Policy.MaxDowntime);
    }

    [Fact]
    public void Limits_of_passes_and_of_time_end_it()
    {
        Assert.IsType<GiveUp>(SwitchoverRule.Judge(Saturated(2, 0), Seen, Policy with { MaxIterations = 2 }));
        Assert.IsType<GiveUp>(SwitchoverRule.Judge(Saturated(2, 0), Seen, Policy with { MaxTime = TimeSpan.FromSeconds(2) }));
        Assert.IsType<IterateAgain>(SwitchoverRule.Judge(Saturated(2, 0), Seen, Policy with { MaxTime = TimeSpan.FromSeconds(3) }));
    }

    [Fact]
    public void A_wide_tail_that_was_only_assumed_does_not_keep_a_first_migration_back() =>
        Assert.IsType<SwitchNow>(SwitchoverRule.Judge([Pass(1, 1, 1000, 40), Pass(2, 0.05, 40, 1)], LearnedCosts.Assumed, Policy));

    private static SwitchoverVerdict Judge(params PassObservation[] passes) => SwitchoverRule.Judge(passes, Seen, Policy);

    private static PassObservation Pass(int iteration, double seconds, double sentMiB, double dirtyMiB) => new(
        iteration, TimeSpan.FromSeconds(seconds), (long)(sentMiB * MiB), (long)(dirtyMiB * MiB));

    /// <summary>100 MiB/s are sent, and a hot set of 1000 MiB is dirty again within each second.</summary>
    private static List<PassObservation> Saturated(int count, long dmaMiB) =>
    [
        .. Enumerable.Range(1, count).Select(iteration => Pass(iteration, 1 + iteration * 0.001, 100, 1000) with { DmaBytes = dmaMiB * MiB }),
    ];
}
