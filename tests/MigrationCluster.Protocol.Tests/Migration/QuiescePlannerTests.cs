using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Migration;

/// <summary>001_bc76a1a36306e397.txt: a group migrates only if every member can be P2P-quiet.</summary>
public sealed class QuiescePlannerTests
{
    private const MigrationCapabilities Quiet = MigrationCapabilities.StopCopy | MigrationCapabilities.P2P;
    private static readonly HostName Home = new("alpha");
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(9);

    private static readonly Dictionary<string, MigrationCapabilities> Capabilities = new()
    {
        ["net0"] = Quiet,
        ["gpu0"] = Quiet,
        ["legacy0"] = MigrationCapabilities.StopCopy,
        ["serial0"] = MigrationCapabilities.StopCopy,
    };

    [Fact]
    public void A_member_of_a_group_that_cannot_be_quiet_is_named_with_its_edge()
    {
        var refusal = Assert.Single(Judge(Graph(legacyRemovable: false)));

        Assert.Equal((QuiescePlanner.NotQuiet, "legacy0"), (refusal.Code, refusal.Device));
        Assert.Contains("legacy0 into gpu0", refusal.Message, StringComparison.Ordinal);
        Assert.Contains("peerToPeerRemovable", refusal.Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_that_takes_P2P_DMA_has_to_be_quiet_too()
    {
        var capabilities = new Dictionary<string, MigrationCapabilities>(Capabilities) { ["gpu0"] = MigrationCapabilities.StopCopy };

        Assert.Equal(
            ["net0 into gpu0", "legacy0 into gpu0", "legacy0 into gpu0"],
            QuiescePlanner.Judge(Graph(legacyRemovable: false), capabilities, Home, CompatibilitySide.Source)
                .Select(refusal => refusal.Message.Split('(', ')')[1]));
    }

    [Fact]
    public void A_device_that_is_alone_needs_no_P2P_support()
    {
        var graph = PeerGraph.Of([("legacy0", [], false), ("serial0", [], false)]);

        Assert.Empty(Judge(graph));
        var plan = QuiescePlanner.Plan(graph, Capabilities, Deadline);
        Assert.Empty(plan.Groups);
        Assert.DoesNotContain(plan.Steps, step => step.Stage is QuiesceStage.Quiet or QuiesceStage.UnmapEdges);
    }

    [Fact]
    public void An_edge_that_may_be_removed_is_unmapped_for_the_blackout_and_the_plan_says_what_it_costs()
    {
        var graph = Graph(legacyRemovable: true);

        Assert.Empty(Judge(graph));
        var plan = QuiescePlanner.Plan(graph, Capabilities, Deadline);
        Assert.Equal("legacy0 into gpu0", Assert.Single(plan.Unmapped).ToString());
        Assert.Contains("legacy0's writes are held", Assert.Single(plan.Costs), StringComparison.Ordinal);
        Assert.Equal(["net0", "gpu0"], Assert.Single(plan.Groups));
        Assert.Equal(4, graph.Devices.Count);
        Assert.Equal(3, graph.Groups(Capabilities).Values.Distinct().Count());
    }

    [Fact]
    public void An_edge_between_devices_that_can_be_quiet_stays_mapped_even_where_it_may_go()
    {
        var graph = PeerGraph.Of([("net0", ["gpu0"], true), ("gpu0", [], false)]);

        Assert.Empty(graph.Unmapped(Capabilities));
        Assert.Equal(["net0", "gpu0"], Assert.Single(QuiescePlanner.Plan(graph, Capabilities, Deadline).Groups));
    }

    [Fact]
    public void The_plan_goes_through_its_stages_in_order_with_a_limit_for_every_member()
    {
        var steps = QuiescePlanner.Plan(Graph(legacyRemovable: true), Capabilities, Deadline).Steps;

        Assert.Equal(steps.OrderBy(step => step.Stage), steps);
        Assert.Equal(["net0", "gpu0"], steps.Where(step => step.Stage == QuiesceStage.Quiet).Select(step => step.Device));
        Assert.Equal(4, steps.Count(step => step.Stage == QuiesceStage.Stop));
        Assert.All(
            steps.Where(step => step.Stage is QuiesceStage.Quiet or QuiesceStage.Stop),
            step => Assert.Equal(TimeSpan.FromSeconds(3), step.Limit));
        Assert.Equal(4, steps.Count(step => step.Stage == QuiesceStage.Run && step.Limit == MemberLimits.OnTheWayBack));
        Assert.True(steps.Single(step => step.Stage == QuiesceStage.MapEdges).Stage < QuiesceStage.ResumeMachine);
    }

    /// <summary>A spec cannot name one, but a guest process says what it has really mapped.</summary>
    [Theory]
    [InlineData("net0>gpu9", "net0", "gpu9")]
    [InlineData("gpu9>net0", "net0", "gpu9")]
    public void P2P_into_another_guest_is_refused_by_name(string mapped, string member, string stranger)
    {
        var refusal = Assert.Single(Judge(Graph(legacyRemovable: true).With(mapped)));

        Assert.Equal((QuiescePlanner.ForeignPeer, member, stranger), (refusal.Code, refusal.Device, refusal.Actual));
        Assert.Contains(mapped.Replace(">", " into ", StringComparison.Ordinal), refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_guest_process_has_mapped_counts_though_nobody_declared_it()
    {
        var graph = PeerGraph.Of([("net0", [], false), ("gpu0", [], false), ("legacy0", [], false)]);

        Assert.Single(Judge(graph.With("net0>gpu0 legacy0>gpu0")));
        Assert.Equal("net0>gpu0", PeerGraph.Write(graph.With("net0>gpu0").Edges));
        Assert.Equal(2, graph.With("net0>gpu0").Groups(Capabilities).Values.Distinct().Count());
    }

    private static PeerGraph Graph(bool legacyRemovable) => PeerGraph.Of(
        [("net0", ["gpu0"], false), ("gpu0", [], false), ("legacy0", ["gpu0"], legacyRemovable), ("serial0", [], false)]);

    private static List<Refusal> Judge(PeerGraph graph) =>
        [.. QuiescePlanner.Judge(graph, Capabilities, Home, CompatibilitySide.Source)];
}
