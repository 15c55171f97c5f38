using MigrationCluster.Chaos.Traces;
using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Chaos.Tests;

public sealed class TracesTests
{
    private const long GiB = 1 << 30, MiB = 1 << 20;
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(500);

    [Fact]
    public void Our_rule_keeps_its_limits_and_sends_little_more_than_who_knows_what_comes()
    {
        var results = TraceContest.Run(firstSeed: 1, count: 150, CancellationToken.None);
        var paused = results.Where(result => result.Of[TraceContest.Ours].Downtime is not null).ToList();
        Assert.InRange(paused.Count, 100, 150);
        int over = paused.Count(result => result.Of[TraceContest.Ours].Downtime > result.Trace.Limit.TotalMilliseconds);
        Assert.InRange(over, 0, paused.Count * 2 / 100);
        double[] ratios = [.. paused.Where(result => result.Oracle is not null)
            .Select(result => (double)result.Of[TraceContest.Ours].Bytes / result.Oracle!.Bytes).Order()];
        Assert.InRange(Cost.Quantile(ratios, 0.95), 1, 1.2);
        Assert.All(results.Where(result => result.Oracle is null), result => Assert.InRange(result.Of[TraceContest.Ours].SaidInfeasible ?? 99, 1, 3));
        Assert.All(ratios, ratio => Assert.InRange(ratio, 0.99, 3)); // nobody sends less than the oracle, where both keep the limit
    }

    [Fact]
    public void The_same_seeds_give_the_same_results()
    {
        var first = TraceContest.Run(7, 10, CancellationToken.None);
        var second = TraceContest.Run(7, 10, CancellationToken.None);
        Assert.Equal(
            first.Select(result => (result.Of[TraceContest.Ours].Bytes, result.Of[TraceContest.KubeVirt].Downtime)),
            second.Select(result => (result.Of[TraceContest.Ours].Bytes, result.Of[TraceContest.KubeVirt].Downtime)));
    }

    [Fact]
    public void QEMUs_rule_pauses_as_soon_as_the_bytes_fit_and_ends_when_its_time_is_over()
    {
        var rule = new QemuRule(Limit, GiB);
        Assert.Equal(Choice.Again, rule.Judge([Pass(1, 1000, 501)], TimeSpan.FromSeconds(1)));
        Assert.Equal(Choice.Switch, rule.Judge([Pass(1, 1000, 500)], TimeSpan.FromSeconds(1)));
        Assert.Equal(Choice.GiveUp, rule.Judge([Pass(1, 1000, 501)], TimeSpan.FromSeconds(150)));
    }

    [Fact]
    public void KubeVirts_rule_is_stalled_after_its_window_and_then_waits_for_the_best_it_has_seen()
    {
        var rule = new KubeVirtRule(Limit, 8 * GiB);
        Assert.Equal(Choice.Again, rule.Judge([Pass(1, 1000, 600)], TimeSpan.FromSeconds(1)));
        Assert.Equal(Choice.Again, rule.Judge([Pass(2, 1000, 900)], TimeSpan.FromSeconds(40)));
        Assert.Equal(Choice.Again, rule.Judge([Pass(3, 1000, 900)], TimeSpan.FromSeconds(42))); // stalled: 900 MiB are not below 600, of 41 s ago
        Assert.Equal(Choice.Switch, rule.Judge([Pass(4, 1000, 620)], TimeSpan.FromSeconds(43))); // within 4 % of the best, and 620 ms are within 1.5 times the limit
    }

    [Fact]
    public void KubeVirts_rule_gives_up_when_the_best_is_too_much()
    {
        var rule = new KubeVirtRule(Limit, 8 * GiB);
        Assert.Equal(Choice.Again, rule.Judge([Pass(1, 1000, 800)], TimeSpan.FromSeconds(1)));
        Assert.Equal(Choice.GiveUp, rule.Judge([Pass(2, 1000, 800)], TimeSpan.FromSeconds(42)));
    }

    /// <summary>A pass of one second.</summary>
    private static PassObservation Pass(int number, long sentMiB, long dirtyMiB) =>
        new(number, TimeSpan.FromSeconds(1), sentMiB * MiB, dirtyMiB * MiB);
}
