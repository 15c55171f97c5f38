using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class PlanCommandTests
{
    private const string Ask = "POST /v1/plans";
    private const string Id = "p-aaaa-bbbb-cccc-dddd-eeee-ffff-gggg";

    [Fact]
    public async Task Shows_where_to_how_and_what_it_will_cost()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On(Ask, Plan());
        var ran = await Ran.Migctl("plan", "web", "--max-downtime", "200ms", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Contains("""POST /v1/plans {"guest":"web","maxDowntimeMs":200}""", fake.Requests);
        Assert.Contains("alpha → beta: it can go", ran.Output);
        Assert.Contains("together: gpu0, net0", ran.Output);
        Assert.Contains("at most 3.3 s each", ran.Output);
        Assert.Contains("7.0 s in all, p95 9.0 s, 3 passes", ran.Output);
        Assert.Contains("downtime 120 ms, p95 180 ms, p99 210 ms  (limit 200 ms)", ran.Output);
        Assert.Contains("final-pages", ran.Output);
        Assert.Contains("raise the limit to 210 ms", ran.Output);
        Assert.Contains("by: a link of 400 MiB/s, as it was seen", ran.Output);
        Assert.Contains($"migctl migrate web --plan {Id}", ran.Output);
    }

    [Fact]
    public async Task A_guest_that_cannot_go_has_every_host_with_its_reasons_and_exits_with_3()
    {
        var blocker = new Reason("destination.memory", "beta is full", "free some") { Host = "beta" };
        await using var fake = (await FakeCoordinator.StartAsync()).On(
            Ask, new GuestPlanView(null, null, "web", "alpha", null, 300, [new HostVerdictView("beta", Verdicts.Incompatible, null, [blocker])], [blocker], null, null));
        var ran = await Ran.Migctl("plan", "web", "--coordinator", fake.Url);
        Assert.Equal(3, ran.Code);
        Assert.Contains("it cannot go", ran.Output);
        Assert.Contains("beta is full", ran.Output);
        Assert.DoesNotContain("--plan", ran.Output);
    }

    [Fact]
    public async Task A_plan_and_its_policy_go_with_the_order_to_migrate()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("POST /v1/migrations", Samples.Migration(Outcomes.Running, 1));
        var ran = await Ran.Migctl(
            "migrate", "web", "--plan", Id, "--on-stall", "throttle", "--max-iterations", "9", "--max-time", "60s", "--detach", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        string asked = Assert.Single(fake.Requests);
        foreach (string part in new[] { $"\"plan\":\"{Id}\"", "\"onStall\":\"throttle\"", "\"maxIterations\":9", "\"maxPreCopyMs\":60000" }) Assert.Contains(part, asked);
    }

    [Fact]
    public async Task A_plan_that_does_not_hold_any_more_names_what_changed_and_exits_with_3()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails(
            "POST /v1/migrations", 409, new ApiError(
                ErrorCodes.PlanChanged, "it does not hold any more", [new Reason(ErrorCodes.PlanChanged, "what beta offers changed since the plan was made", "plan again")]));
        var ran = await Ran.Migctl("migrate", "web", "--plan", Id, "--coordinator", fake.Url);
        Assert.Equal(3, ran.Code);
        Assert.Contains("what beta offers changed", ran.Error);
    }

    [Theory]
    [InlineData("--on-stall", "wait")]
    [InlineData("--max-iterations", "0")]
    [InlineData("--max-time", "soon")]
    public async Task A_policy_that_makes_no_sense_is_a_usage_error(string option, string value)
    {
        var ran = await Ran.Migctl("plan", "web", option, value);
        Assert.Equal(2, ran.Code);
        Assert.Contains(option is "--on-stall" ? "wait" : option, ran.Error);
    }

    private static GuestPlanView Plan() => new(
        Id, "eeee-ffff-gggg", "web", "alpha", "beta", 200, [new HostVerdictView("beta", Verdicts.Compatible, 1, [])], [],
        new PlannedQuiesceView([["gpu0", "net0"]], [], [new QuiesceStepView("Quiet", "gpu0", 3300), new QuiesceStepView("Quiet", "net0", 3300)]),
        new ForecastView(
            7000, 9000,
            new PredictionView(120, 180, 210, [new PredictedComponentView("final-pages", 60, 90)], 12 << 20), 3,
            new StallView("DirtyRate", "the guest dirties more than the link takes", 210, ["raise the limit to 210 ms"]), true,
            ["a link of 400 MiB/s, as it was seen"]));
}
