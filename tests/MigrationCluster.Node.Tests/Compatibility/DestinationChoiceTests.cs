using MigrationCluster.Api;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Tests.Compatibility;

public sealed class DestinationChoiceTests
{
    private const string Spec = """
        {"name":"g","memoryMiB":64,"vcpus":{"count":1,"pattern":"hotset","dirtyRateMiBps":1},
         "devices":[{"name":"net0","template":"net"},{"name":"serial0","template":"serial"}]}
        """;

    private static readonly IReadOnlyDictionary<string, DeviceDescriptor> Both = FakeAgents.Classes(("net", "net"), ("serial", "serial"));
    private static readonly Reason NoRoom = new("destination.memory", "no room", "make some");

    private readonly FakeAgents _agents = new();
    private readonly GuestRecord _guest = new(
        GuestRow.Start(new GuestName("g"), new HostName("alpha"), new Epoch(1)), Spec, Placement.Placed);

    public DestinationChoiceTests()
    {
        _agents.Add("alpha", Both);
        var net = DeviceModels.Describe("net", "2", new Dictionary<string, string>()).Instantiate();
        _agents.Setup = new(
            [FakeAgents.Record("net0", 0, net), FakeAgents.Record("serial0", 1, Both["serial"].Instantiate())], []);
    }

    [Fact]
    public async Task A_host_that_fits_is_asked_with_the_sources_configuration()
    {
        _agents.Add("beta", Both);

        var (chosen, refusal) = await ChooseAsync("beta");

        Assert.Null(refusal);
        Assert.Equal("beta", chosen!.Destination.Value);
        Assert.Contains(_agents.Asked, asked => asked.StartsWith("admit beta net0(", StringComparison.Ordinal)
            && asked.Contains("rx-filter-size=32", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Everything_that_says_no_is_told_at_once()
    {
        _agents.Add("beta", FakeAgents.Classes(("net", "serial")), dataPlane: new DataPlaneFacts(2, 3, 2), admission: [NoRoom]);

        var (_, refusal) = await ChooseAsync("beta");

        Assert.Equal(ErrorCodes.Refused, refusal!.Error.Code);
        Assert.Superset(
            new HashSet<string>
            {
                "destination.memory", "data-plane.wire-version", "data-plane.channels", "device.model-mismatch", "destination.template",
            },
            refusal.Error.Reasons.Select(reason => reason.Code).ToHashSet());
        Assert.All(refusal.Error.Reasons, reason => Assert.NotEmpty(reason.Remedy));
    }

    [Fact]
    public async Task A_data_plane_on_another_machines_loopback_is_out_of_reach()
    {
        _agents.Add("beta", Both, address: "https://10.0.0.2:7101");
        _agents.Add("gamma", Both, address: "https://10.0.0.3:7101", dataPlane: FakeAgents.DataPlane with { OnLoopback = false });

        var (_, refusal) = await ChooseAsync("beta");
        var (chosen, _) = await ChooseAsync("gamma");

        var reason = Assert.Single(refusal!.Error.Reasons);
        Assert.Equal("data-plane.out-of-reach", reason.Code);
        Assert.Contains("--data-listen", reason.Remedy, StringComparison.Ordinal);
        Assert.Equal("gamma", chosen!.Destination.Value);
    }

    [Fact]
    public async Task A_device_that_does_not_answer_refuses_and_no_name_helps()
    {
        _agents.Add("beta", Both);
        _agents.Setup = _agents.Setup! with { Unanswered = [new Refusal("device.no-setup-record", "silent", "look", "net0")] };

        var (_, refusal) = await ChooseAsync("beta", unknownAccepted: true);

        Assert.Equal("net0", Assert.Single(refusal!.Error.Reasons).Device);
    }

    [Fact]
    public async Task What_nobody_can_tell_refuses_unless_it_is_accepted_and_then_is_on_record()
    {
        _agents.Add("beta", new Dictionary<string, DeviceDescriptor>(Both) { ["net"] = DeviceDescriptor.Empty(DescriptorKind.Template) });

        var (_, refusal) = await ChooseAsync("beta");
        var (chosen, _) = await ChooseAsync("beta", unknownAccepted: true);

        Assert.All(refusal!.Error.Reasons, reason => Assert.Contains("--accept-unknown", reason.Remedy, StringComparison.Ordinal));
        Assert.NotEmpty(chosen!.Findings.Unknown);
    }

    [Theory]
    [InlineData("alpha")]
    [InlineData("beta")]
    public async Task A_host_of_an_earlier_release_that_does_not_tell_leaves_it_unknown(string untold)
    {
        _agents.Add("beta", untold == "beta" ? null : Both);
        if (untold == "alpha") _agents.Setup = null;

        var (_, refusal) = await ChooseAsync("beta");
        var (chosen, _) = await ChooseAsync("beta", unknownAccepted: true);

        Assert.Equal(["net0", "serial0"], refusal!.Error.Reasons.Select(reason => reason.Device).Distinct());
        Assert.Equal("beta", chosen!.Destination.Value);
    }

    [Fact]
    public async Task A_search_takes_the_next_host_when_the_best_has_no_room_and_says_why_each_other_lost()
    {
        _agents.Add("beta", Both, admission: [NoRoom]);
        _agents.Add("cramped", Both, freeMiB: 8);
        _agents.Add("gamma", Both);
        _agents.Add("later", Both);
        _agents.Add("odd", FakeAgents.Classes(("net", "net")));
        _agents.Add("silent", Both, reachable: false);

        var (chosen, refusal) = await ChooseAsync(null);

        Assert.Null(refusal);
        Assert.Equal("gamma", chosen!.Destination.Value);
        Assert.Equal(
            ["beta: destination.memory", "cramped: destination.memory", "later: rank 2", "odd: destination.template", "silent: host.unreachable"],
            chosen.Findings.PassedOver.Select(host =>
                $"{host.Host}: {(host.Rank is { } rank ? $"rank {rank}" : host.Reasons[0].Code)}").Order());
    }

    [Fact]
    public async Task A_search_asks_only_hosts_that_may_be_chosen()
    {
        for (int i = 0; i < 50; i++) _agents.Add($"odd{i}", FakeAgents.Classes(("net", "serial")));
        _agents.Add("beta", Both);

        await ChooseAsync(null);

        Assert.Equal(["admit beta", "offers alpha", "offers beta"], _agents.Asked.Select(asked => asked.Split(" net0")[0]).Order());
    }

    [Fact]
    public async Task A_search_without_success_tells_all_reasons_of_all_hosts()
    {
        _agents.Add("beta", Both, admission: [NoRoom, NoRoom with { Code = "destination.socket-path" }]);
        _agents.Add("odd", FakeAgents.Classes(("net", "net")));

        var (_, refusal) = await ChooseAsync(null);

        Assert.Equal((409, ErrorCodes.NoHost), (refusal!.HttpStatus, refusal.Error.Code));
        Assert.Equal(
            ["beta destination.memory", "beta destination.socket-path", "odd destination.template"],
            refusal.Error.Reasons.Select(reason => $"{reason.Host} {reason.Code}"));
    }

    [Fact]
    public async Task A_host_that_cannot_send_the_guest_back_is_taken_with_a_warning()
    {
        _agents.Add("alpha", FakeAgents.Classes(("serial", "serial")));
        _agents.Add("beta", Both);

        var (chosen, _) = await ChooseAsync("beta");

        Assert.Equal(("net0", "destination.template"), (chosen!.Findings.NoWayBack[0].Device, chosen.Findings.NoWayBack[0].Code));
    }

    [Fact]
    public async Task A_guest_that_cannot_go_is_not_warned_of_the_way_back()
    {
        _agents.Add("beta", FakeAgents.Classes(("net", "net")));
        var planner = new MigrationPlanner(_agents, new VersionQuestions(_agents), HandlerChain.Default);

        var guest = await planner.ReadAsync(_guest, default);
        var plan = await planner.JudgeAsync(guest, new HostName("beta"), default);

        Assert.Empty(plan.Judgement.NoWayBack);
        Assert.All(CompatViews.Check(guest, plan).Devices, device => Assert.Null(device.Return));
    }

    [Fact]
    public async Task Each_host_is_asked_once_for_each_distinct_version_string()
    {
        var mdev = DeviceDescriptor.Empty(DescriptorKind.Template) with { VersionString = "v1" };
        var classes = new Dictionary<string, DeviceDescriptor> { ["t"] = mdev };
        _agents.Add("alpha", classes, versionClasses: ["t"]);
        _agents.Add("beta", classes, versionClasses: ["t"]);
        _agents.Versions["beta"] = VersionAnswer.Accepted;
        var fleet = new FleetOffers(_agents, new VersionQuestions(_agents));

        var answers = (await fleet.AskAsync("t", await fleet.ReadAsync(default), default))!;

        Assert.Equal(["version alpha t v1", "version beta t v1"], _agents.Asked.Order());
        Assert.Equal(
            (VersionAnswer.Accepted, VersionAnswer.NotAsked), (answers("v1", new HostName("beta")), answers("v2", new HostName("beta"))));
    }

    private Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> ChooseAsync(string? to, bool unknownAccepted = false)
    {
        _agents.Asked.Clear();
        var questions = new VersionQuestions(_agents);
        var planner = new MigrationPlanner(_agents, questions, HandlerChain.Default);
        return new DestinationChoice(_agents, planner, questions).ChooseAsync(_guest, to, unknownAccepted, default);
    }
}
