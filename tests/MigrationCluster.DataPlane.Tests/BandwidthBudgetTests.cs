using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.DataPlane.Tests;

/// <summary>Shares that send as much as they are let, in virtual time.</summary>
public sealed class BandwidthBudgetTests
{
    private const long MiB = 1 << 20;

    private readonly ManualTime _time = new();
    private readonly BandwidthBudget _budget;
    private readonly Signal _wake = new();

    public BandwidthBudgetTests() => _budget = new BandwidthBudget(_time);

    [Fact]
    public void Without_a_limit_nobody_waits()
    {
        using var share = _budget.Open(null);
        for (int i = 0; i < 100; i++) Assert.Equal(64 * MiB, share.Take((int)(64 * MiB), _wake));
        Assert.Empty(_time.Armed);
    }

    [Fact]
    public void One_transfer_keeps_its_own_limit()
    {
        using var share = _budget.Open(100 * MiB);
        Assert.Equal(100, Run([share])[0], 3.0);
    }

    [Fact]
    public void A_low_limit_is_paid_in_short_waits()
    {
        using var share = _budget.Open(10 * MiB);
        Run([share]);
        Assert.Equal(0, share.Take(256 << 10, _wake));
        Assert.InRange(_time.Armed.Single(), TimeSpan.Zero, TimeSpan.FromMilliseconds(11));
    }

    [Fact]
    public void A_limit_that_is_changed_holds_at_once()
    {
        using var share = _budget.Open(100 * MiB);
        Run([share]);
        share.Limit = 10 * MiB;
        Assert.Equal(10, Run([share])[0], 0.5);
        share.Limit = null;
        Assert.Equal(1 << 30, share.Take(1 << 30, _wake));
    }

    [Fact]
    public async Task Whoever_waits_is_woken_by_a_change_and_by_time()
    {
        using var share = _budget.Open(MiB);
        Action[] wakers =
        [
            () => _time.Advance(TimeSpan.FromMilliseconds(20)), () => share.Limit = 2 * MiB, () => share.Urgent = true,
            () => (share.Urgent, share.Limit) = (false, MiB), () => _budget.Limit = MiB,
        ];
        foreach (var wake in wakers)
        {
            while (share.Take(1 << 20, _wake) > 0 && !share.IsFree) { }
            var waiting = share.IsFree ? Task.CompletedTask : Task.Run(_wake.Wait);
            wake();
            await waiting.WaitAsync(LoopbackSession.Hang);
        }
    }

    [Fact]
    public void A_nodes_limit_is_shared_fairly()
    {
        _budget.Limit = 120 * MiB;
        using BandwidthShare a = _budget.Open(null), b = _budget.Open(null), c = _budget.Open(null);
        Assert.All(Run([a, b, c]), rate => Assert.Equal(40, rate, 2.0));
    }

    [Fact]
    public void A_nodes_limit_may_change_too()
    {
        using BandwidthShare a = _budget.Open(null), b = _budget.Open(null);
        Assert.Equal(1 << 30, a.Take(1 << 30, _wake));
        _budget.Limit = 60 * MiB;
        Assert.All(Run([a, b]), rate => Assert.Equal(30, rate, 2.0));
        _budget.Limit = 20 * MiB;
        Assert.All(Run([a, b]), rate => Assert.Equal(10, rate, 1.0));
        _budget.Limit = null;
        Assert.Equal(1 << 30, b.Take(1 << 30, _wake));
    }

    [Fact]
    public void What_a_slower_one_leaves_the_others_have()
    {
        _budget.Limit = 120 * MiB;
        using BandwidthShare slow = _budget.Open(20 * MiB), a = _budget.Open(null), b = _budget.Open(70 * MiB);
        var rates = Run([slow, a, b]);
        Assert.Equal(20, rates[0], 1.0);
        Assert.Equal(50, rates[1], 2.0);
        Assert.Equal(50, rates[2], 2.0);
    }

    [Fact]
    public void One_that_pauses_gives_its_part_away_and_gets_it_back()
    {
        _budget.Limit = 100 * MiB;
        using BandwidthShare a = _budget.Open(null), b = _budget.Open(null);
        Run([a, b]);
        _time.Advance(BandwidthBudget.Recent * 2);
        Assert.Equal(100, Run([a])[0], 3.0);
        Assert.All(Run([a, b]), rate => Assert.Equal(50, rate, 3.0));
    }

    [Fact]
    public void Stop_and_copy_has_at_least_half_and_no_limit_of_its_own()
    {
        _budget.Limit = 100 * MiB;
        using BandwidthShare paused = _budget.Open(5 * MiB), a = _budget.Open(null), b = _budget.Open(null), c = _budget.Open(null);
        paused.Urgent = true;
        var rates = Run([paused, a, b, c]);
        Assert.Equal(50, rates[0], 3.0);
        Assert.All(rates[1..], rate => Assert.Equal(50 / 3.0, rate, 1.0));
        _time.Advance(BandwidthBudget.Recent * 2);
        Assert.Equal(100, Run([paused])[0], 3.0);
    }

    [Fact]
    public void A_transfer_that_ended_has_no_part_any_more()
    {
        _budget.Limit = 100 * MiB;
        using var a = _budget.Open(null);
        using (var b = _budget.Open(null)) Run([a, b]);
        Assert.Equal(100, Run([a])[0], 3.0);
    }

    [Fact]
    public void Refuses_a_limit_of_nothing()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _budget.Limit = 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => _budget.Open(-1));
    }

    /// <summary>A second in which all of them have buffers of 256 KiB to send, and ask every millisecond.</summary>
    /// <returns>MiB per second of each.</returns>
    private double[] Run(BandwidthShare[] shares)
    {
        var sent = new long[shares.Length];
        for (int ms = 0; ms < 1000; ms++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(1));
            for (int i = 0; i < shares.Length; i++)
                for (int granted; (granted = shares[i].Take(256 << 10, _wake)) > 0;)
                    sent[i] += granted;
        }

        return [.. sent.Select(bytes => bytes / (double)MiB)];
    }
}
