using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Shim;

namespace MigrationCluster.Chaos.Tests.Cluster;

public sealed class ScheduleTests
{
    private static readonly string[] Six = ["a", "b", "c", "d", "e", "f"];

    private static ChaosSettings Settings(int seed = 7, double minutes = 3) => new(
        "/tmp/mcx-none", 3, 4, ChaosSettings.Postgres, minutes, seed, "/tmp/none", true, true, [.. Fault.All.Select(fault => fault.Name)],
        new Dictionary<string, string>());

    [Fact]
    public void The_schedule_is_a_function_of_the_seed_and_meets_every_fault()
    {
        string[] one = [.. Schedule.Draw(Settings()).Select(strike => strike.ToString())];

        Assert.Equal(one, Schedule.Draw(Settings()).Select(strike => strike.ToString()));
        Assert.NotEqual(one, Schedule.Draw(Settings(seed: 8)).Select(strike => strike.ToString()));
        Assert.Equal(Fault.All.Select(fault => fault.Name), Schedule.Draw(Settings()).Select(strike => strike.Fault).Distinct().Order(StringComparer.Ordinal));
        Assert.All(Schedule.Draw(Settings()), strike => Assert.InRange(strike.At, 0, 180));
    }

    [Fact]
    public void No_two_faults_have_one_name_and_each_says_what_it_does()
    {
        Assert.Equal(Fault.All.Count, Fault.All.DistinctBy(fault => fault.Name).Count());
        Assert.All(Fault.All, fault => Assert.NotEmpty(fault.Help));
    }

    [Fact]
    public void What_cannot_be_had_says_why()
    {
        var poor = Settings() with { Engine = ChaosSettings.Sqlite, Namespaces = false, Mounts = false };

        string[] missing = [.. Fault.All.Where(fault => fault.Missing(poor) is not null).Select(fault => fault.Name)];

        string? compiler = Shim.Missing();
        string[] shim = compiler is null ? [] : ["clock-jump", "failing-fsync", "torn-write"];
        Assert.Equal(((string[])["cut", "database-failover", "database-restart", "delayed", "full-disk", "lossy", "one-way-cut", "slow", .. shim]).Order(StringComparer.Ordinal), missing);
        Assert.All(Fault.All, fault => Assert.True(fault.Missing(Settings()) is not { } why || why == compiler, fault.Name));
    }

    [Theory]
    [InlineData(1, 4, 5.0, null, "--nodes")]
    [InlineData(3, 0, 5.0, null, "--guests")]
    [InlineData(3, 4, 0.0, null, "--minutes")]
    [InlineData(3, 4, 5.0, "kill-node,earthquake", "'earthquake'")]
    public void Wrong_arguments_are_named(int nodes, int guests, double minutes, string? faults, string named)
    {
        var error = Assert.Throws<FormatException>(() =>
            ChaosCommand.Read(null, nodes, guests, ChaosSettings.Sqlite, minutes, 1, faults, "/tmp/none", loopback: true));

        Assert.Contains(named, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_name_with_a_minus_is_taken_out_of_all()
    {
        var settings = ChaosCommand.Read(null, 3, 4, ChaosSettings.Sqlite, 1, 1, "-kill-guest", "/tmp/none", loopback: true);

        Assert.DoesNotContain("kill-guest", settings.Faults);
        Assert.Contains("kill-node", settings.Faults);
        Assert.Contains("cut", settings.LeftOut.Keys);
    }

    [Fact]
    public async Task Shrinking_leaves_just_what_fails_together()
    {
        int runs = 0;

        var left = await DeltaDebugging.ShrinkAsync(Six, parts =>
        {
            runs++;
            return Task.FromResult(parts.Contains("b") && parts.Contains("e"));
        }, 100);

        Assert.Equal(["b", "e"], left);
        Assert.InRange(runs, 2, 100);
    }

    [Fact]
    public async Task Shrinking_stops_when_its_runs_are_used_up()
    {
        int runs = 0;

        var left = await DeltaDebugging.ShrinkAsync(Six, parts =>
        {
            runs++;
            return Task.FromResult(false);
        }, 3);

        Assert.Equal((3, 6), (runs, left.Count));
    }
}
