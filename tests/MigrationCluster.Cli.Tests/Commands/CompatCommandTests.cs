using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class CompatCommandTests
{
    private static readonly Reason Queues = new(
        "device.parameter-unsupported", "net0: the source has queues=8, the destination 1..4", "allow 8 queues", "net0", "queues=8", "1..4",
        ReasonSides.Destination);

    [Theory]
    [InlineData(Verdicts.Compatible, 0)]
    [InlineData(Verdicts.Incompatible, 3)]
    [InlineData(Verdicts.Unknown, 3)]
    public async Task Check_exits_with_its_verdict(string verdict, int code)
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/check", Check(verdict));
        var ran = await Ran.Migctl("compat", "check", "web", "--to", "beta", "--coordinator", fake.Url);
        Assert.Equal(code, ran.Code);
        Assert.Contains("GET /v1/compat/check?guest=web&to=beta", fake.Requests);
    }

    [Fact]
    public async Task Check_shows_every_device_every_reason_and_the_way_back()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/check", Check(Verdicts.Incompatible));
        var ran = await Ran.Migctl("compat", "check", "web", "--to", "beta", "--coordinator", fake.Url);
        Assert.Equal("""
            web  alpha → beta: incompatible
            DEVICE  CLASS      VERDICT       WAY BACK    DECIDED BY
            net0    net-basic  incompatible  -           emulated
            gpu0    gpu-256    compatible    compatible  emulated
              - net0: the source has queues=8, the destination 1..4 [device.parameter-unsupported]
                at the destination: allow 8 queues
              beta drops optional state of gpu0: statistics
            It can go there, but could not come back:
              - gpu0: gone [destination.template]
                add it

            """, Trimmed(ran.Output));
    }

    [Fact]
    public async Task Json_has_what_each_side_has_and_where_the_remedy_goes()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/check", Check(Verdicts.Incompatible));
        var ran = await Ran.Migctl("compat", "check", "web", "--to", "beta", "--output", "json", "--coordinator", fake.Url);
        var reason = JsonDocument.Parse(ran.Output).RootElement.GetProperty("reasons")[0];
        Assert.Equal(
            ("net0", "queues=8", "1..4", "destination"),
            (reason.GetProperty("device").GetString(), reason.GetProperty("expected").GetString(), reason.GetProperty("actual").GetString(),
                reason.GetProperty("side").GetString()));
    }

    [Fact]
    public async Task Explain_puts_the_device_beside_what_the_host_could_make()
    {
        var view = new CompatExplainView(
            "web", "alpha", "beta", new DeviceVerdictView("net0", "net-basic", Verdicts.Compatible, "emulated", [], [], Verdicts.Compatible),
            [new CompatRowView("model", "net", "net"), new CompatRowView("parameter queues", "2", "1..8")], []);
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/explain", view);
        var ran = await Ran.Migctl("compat", "explain", "web/net0", "beta", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Equal("""
            web/net0  class net-basic, alpha → beta: compatible  (decided by emulated)
                              ON alpha  OFFERED BY beta
            model             net       net
            parameter queues  2         1..8

            """, Trimmed(ran.Output));
    }

    [Fact]
    public async Task Matrix_shows_directions_islands_and_one_way_edges()
    {
        var view = new CompatMatrixView(
            "net-basic",
            [new MatrixHostView("alpha", false, true), new MatrixHostView("beta", true, true), new MatrixHostView("gamma", false, null)],
            [["compatible", "compatible", "absent"], ["unknown", "compatible", "absent"], ["absent", "absent", "absent"]],
            [new IslandView(["alpha"], true), new IslandView(["beta"], true)], [new OneWayView("alpha", "beta", Verdicts.Unknown)]);
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/matrix", new[] { view });
        var ran = await Ran.Migctl("compat", "matrix", "--class", "net-basic", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Contains("GET /v1/compat/matrix?class=net-basic", fake.Requests);
        Assert.Equal("""
            net-basic  from the host of the row to the host of the column
                   alpha  beta*  gamma
            alpha  yes    yes    -
            beta*  ?      yes    -
            gamma  -      -      -
              * does not answer, so this is what it told last: beta
              not known what it can make: gamma
              island 1: alpha
              island 2: beta
              one way: alpha → beta, back unknown


            """, Trimmed(ran.Output));
    }

    [Fact]
    public async Task Matrix_without_a_class_asks_for_all()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/matrix", Array.Empty<CompatMatrixView>());
        var ran = await Ran.Migctl("compat", "matrix", "--coordinator", fake.Url);
        Assert.Equal((0, "No host has told what devices it can make.\n"), (ran.Code, ran.Output));
        Assert.Equal(["GET /v1/compat/matrix"], fake.Requests);
    }

    [Theory]
    [InlineData(true, 0)]
    [InlineData(false, 3)]
    public async Task Baseline_says_what_is_given_up_and_whom_it_does_not_reach(bool reached, int code)
    {
        var view = new CompatBaselineView(
            "net-basic", 3, reached, [new BaselineParameterView("queues", "4", "4", false), new BaselineParameterView("rx-filter-size", "0", "32", true)],
            ["alpha", "beta"], false, "the gap", [new PassedOverView("gamma", null, [Queues])]);
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/compat/baseline", view);
        var ran = await Ran.Migctl("compat", "baseline", "--class", "net-basic", "--min-targets", "3", "--coordinator", fake.Url);
        Assert.Equal(code, ran.Code);
        Assert.Contains("GET /v1/compat/baseline?class=net-basic&minTargets=3", fake.Requests);
        string[] said =
        [
            reached ? "stays movable to 2 hosts: alpha, beta" : "No configuration of class net-basic reaches 3 hosts; this one reaches 2: alpha, beta",
            "given up for the others", "the gap", "gamma", "    - net0: the source has queues=8",
        ];
        Assert.All(said, part => Assert.Contains(part, ran.Output));
    }

    [Fact]
    public async Task An_unknown_class_is_named_with_those_that_exist()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails("GET /v1/compat/matrix", 404, new ApiError(
            ErrorCodes.ClassUnknown, "no host can make a device of class 'x'",
            [new Reason(ErrorCodes.ClassUnknown, "no host can make a device of class 'x'", "choose one of gpu, net")]));
        var ran = await Ran.Migctl("compat", "matrix", "--class", "x", "--coordinator", fake.Url);
        Assert.Equal(1, ran.Code);
        Assert.Equal("migctl: no host can make a device of class 'x' [class.unknown]\n    choose one of gpu, net\n", ran.Error);
    }

    private static CompatCheckView Check(string verdict) => new(
        "web", "alpha", "beta", verdict, verdict == Verdicts.Compatible ? [] : [Queues],
        [
            new DeviceVerdictView("net0", "net-basic", verdict, "emulated", [Queues], [], null),
            new DeviceVerdictView("gpu0", "gpu-256", Verdicts.Compatible, "emulated", [], ["statistics"], Verdicts.Compatible),
        ],
        [new Reason("destination.template", "gpu0: gone", "add it")]);

    /// <summary>A table pads its lines; what a reader sees does not.</summary>
    private static string Trimmed(string output) => string.Join('\n', output.Split('\n').Select(line => line.TrimEnd()));
}
