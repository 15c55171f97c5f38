using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Matrix;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Chaos.Tests.Cluster.Matrix;

public sealed class MatrixCaseTests
{
    private static ChaosSettings Settings(string? faults = null) =>
        ChaosCommand.Read(null, 2, 1, ChaosSettings.Sqlite, null, 1, faults, "/tmp/none", loopback: true);

    [Fact]
    public void Every_failpoint_has_a_place_or_a_reason_why_no_migration_comes_by_it()
    {
        var reached = Place.All.Select(place => place.Point).ToHashSet();
        var left = FailpointNames.All.Where(name => !reached.Contains(name)).ToList();

        Assert.True(reached.Count > 200, $"{reached.Count}");
        Assert.All(left, name => Assert.Contains(name.Split(':')[2], Place.Out.Keys));
        Assert.All(Place.Out.Keys, step => Assert.Contains(left, name => name.EndsWith(":" + step, StringComparison.Ordinal)));
    }

    [Fact]
    public void Every_step_that_a_way_leads_to_is_there() => Assert.All(
        Way.All.SelectMany(entry => entry.Steps), step => Assert.Contains(FailpointNames.All, name => name == step || name.EndsWith(":" + step, StringComparison.Ordinal)));

    [Fact]
    public void What_a_way_arms_is_there() => Assert.All(
        Way.All.Select(entry => entry.Way.Armed?.Text.Split('=')[0] ?? entry.Way.First?.Point).OfType<string>(), name => Assert.Contains(name, FailpointNames.All));

    [Fact]
    public void A_daemon_is_killed_where_it_stands_and_the_daemon_of_a_guest_process_that_stands()
    {
        var cases = MatrixCommand.Cases(Settings("kill-node,kill-coordinator"), "row:after:Committed,destination:before:PermitTaken,fence:before:Permit", false, null);

        Assert.Equal(
            ["destination:before:PermitTaken kill-node", "fence:before:Permit (destination-guest) kill-node", "row:after:Committed (coordinator) kill-coordinator"],
            cases.Select(it => it.ToString()).Order(StringComparer.Ordinal));
        var strike = Fault.Find("kill-node").At(new Scene("destination-guest", "c1", "n1", "n2", "g1"));
        Assert.Equal("n2", strike!["target"]);
    }

    [Fact]
    public void Pairs_are_a_function_of_the_seed_and_at_two_failpoints_that_one_way_leads_to()
    {
        var singles = MatrixCommand.Cases(Settings(), null, false, null);
        var pairs = MatrixCase.Pairs(singles, 200, 3);

        Assert.Equal(200, pairs.Count);
        Assert.Equal(pairs.Select(pair => pair.ToString()), MatrixCase.Pairs(singles, 200, 3).Select(pair => pair.ToString()));
        Assert.NotEqual(pairs[0].ToString(), MatrixCase.Pairs(singles, 200, 4)[0].ToString());
        Assert.All(pairs, pair =>
        {
            Assert.NotEqual(pair.Hits[0].Point, pair.Hits[1].Point);
            var ways = pair.Hits.Select(hit => Place.Find(hit.Point, hit.Process).Way).Where(way => way != Way.Moves).Distinct();
            Assert.True(ways.Count() <= 1, pair.ToString());
        });
    }

    [Fact]
    public void A_sample_keeps_the_order_and_takes_no_case_twice()
    {
        var singles = MatrixCommand.Cases(Settings(), null, false, null);
        var sample = MatrixCommand.Cases(Settings(), null, false, 40);

        Assert.Equal(40, sample.Select(it => it.ToString()).Distinct().Count());
        var order = singles.Select((it, i) => (Name: it.ToString(), i)).ToDictionary(pair => pair.Name, pair => pair.i);
        Assert.Equal(sample.Select(it => order[it.ToString()]).Order(), sample.Select(it => order[it.ToString()]));
    }

    [Theory]
    [InlineData("source:after:Nonsense", null, "source:after:Nonsense")]
    [InlineData("row:", "full-disk", "--faults and --points")]
    public void What_leaves_no_case_is_named(string points, string? faults, string named)
    {
        var settings = Settings() with { Faults = faults is null ? Settings().Faults : [faults] };

        Assert.Contains(named, Assert.Throws<FormatException>(() => MatrixCommand.Cases(settings, points, false, null)).Message, StringComparison.Ordinal);
    }
}
