using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class MigrateCommandTests
{
    private const string Start = "POST /v1/migrations";
    private const string Watch = "GET /v1/migrations/m-1/watch";

    [Theory]
    [InlineData(Outcomes.Completed, 0)]
    [InlineData(Outcomes.Failed, 1)]
    [InlineData(Outcomes.Refused, 3)]
    [InlineData(Outcomes.Aborted, 4)]
    [InlineData(Outcomes.Cancelled, 5)]
    public async Task Watches_to_the_end_and_exits_with_the_outcome(string outcome, int code)
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On(Start, Samples.Migration(Outcomes.Running, 1))
            .OnEach(Watch, Samples.Migration(Outcomes.Running, 2), Samples.Migration(outcome, 3));
        var ran = await Ran.Migctl("migrate", "web", "--to", "beta", "--max-downtime", "1s", "--coordinator", fake.Url);
        Assert.Equal(code, ran.Code);
        Assert.Contains("""POST /v1/migrations {"guest":"web","to":"beta","maxDowntimeMs":1000}""", fake.Requests);
        Assert.Contains("GET /v1/migrations/m-1/watch?after=2", fake.Requests);
        Assert.Contains("[  0.01 s]  Preparing", ran.Output);
        Assert.Empty(ran.Error);
    }

    [Fact]
    public async Task A_migration_in_doubt_is_watched_on_and_says_since_when_why_and_what_ends_it()
    {
        var doubt = new DoubtView(new DateTimeOffset(2030, 1, 2, 3, 4, 9, TimeSpan.Zero), "the store is away", "bring it back");
        await using var fake = (await FakeCoordinator.StartAsync())
            .On(Start, Samples.Migration(Outcomes.Running, 1))
            .OnEach(Watch, Samples.Migration(Outcomes.InDoubt, 2) with { Doubt = doubt }, Samples.Migration(Outcomes.Completed, 3));
        var ran = await Ran.Migctl("migrate", "web", "--to", "beta", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Contains("InDoubt since 03:04:09Z: the store is away; bring it back", ran.Output);
        Assert.Contains("no longer in doubt", ran.Output);
    }

    [Fact]
    public async Task A_watch_that_ends_at_its_limit_in_doubt_exits_with_7()
    {
        var doubt = new DoubtView(default, "the store is away", "bring it back");
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.InDoubt, 2) with { Doubt = doubt }).OnEach(Watch);
        var ran = await Ran.Migctl("migration", "watch", "m-1", "--limit", "50ms", "--coordinator", fake.Url);
        Assert.Equal(7, ran.Code);
        Assert.Contains("Stopped watching at the limit; m-1 goes on.", ran.Error);
    }

    [Fact]
    public async Task Json_keeps_progress_off_stdout()
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On(Start, Samples.Migration(Outcomes.Running, 1))
            .OnEach(Watch, Samples.Migration(Outcomes.Completed, 2, report: Samples.Report()));
        var ran = await Ran.Migctl("migrate", "web", "--to", "beta", "--output", "json", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        using var document = JsonDocument.Parse(ran.Output);
        Assert.Equal(143.2, document.RootElement.GetProperty("report").GetProperty("downtimeMs").GetDouble());
        Assert.Contains("Preparing", ran.Error);
    }

    [Fact]
    public async Task Detach_returns_with_the_id()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On(Start, Samples.Migration(Outcomes.Running, 1));
        var ran = await Ran.Migctl("migrate", "web", "--to", "beta", "--detach", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.StartsWith("m-1 is under way", ran.Output);
        Assert.Single(fake.Requests);
    }

    [Fact]
    public async Task A_refusal_prints_every_reason_with_its_remedy()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails(Start, 409, new ApiError(
            ErrorCodes.Refused, "web cannot move to beta",
            [
                new Reason("destination.memory", "beta has 100 MiB free, web needs 1024 MiB", "free memory on beta"),
                new Reason("destination.template", "beta has no template gpu-256", "add it to beta's configuration"),
            ]));
        var ran = await Ran.Migctl("migrate", "web", "--to", "beta", "--coordinator", fake.Url);
        Assert.Equal(3, ran.Code);
        Assert.Equal("""
            migctl: web cannot move to beta [migration.refused]
              - beta has 100 MiB free, web needs 1024 MiB [destination.memory]
                free memory on beta
              - beta has no template gpu-256 [destination.template]
                add it to beta's configuration

            """, ran.Error);
    }

    [Fact]
    public async Task Without_a_host_the_best_is_searched_for_and_the_others_are_named_with_their_reasons()
    {
        var plan = new PlanView(null, [], [], [new Reason("device.x", "net0: older there", "upgrade alpha")],
        [
            new PassedOverView("gamma", 2, []), new PassedOverView("delta", null, [new Reason("destination.memory", "too small", "grow")]),
        ]);
        await using var fake = (await FakeCoordinator.StartAsync()).On(Start, Samples.Migration(Outcomes.Running, 1) with { Plan = plan });
        var ran = await Ran.Migctl("migrate", "web", "--detach", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Contains("""POST /v1/migrations {"guest":"web","maxDowntimeMs":300}""", fake.Requests);
        Assert.StartsWith("""
            Other hosts
              gamma could take it too, rank 2
              delta
                - too small [destination.memory]
                  grow
            It can go there, but could not come back:
              - net0: older there [device.x]
                upgrade alpha

            """, ran.Output);
    }

    [Fact]
    public async Task When_no_host_is_left_every_ones_reasons_are_printed()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails(Start, 409, new ApiError(
            ErrorCodes.NoHost, "none of 2 other hosts can take web",
            [
                new Reason("destination.memory", "too small", "grow", Host: "beta"),
                new Reason("device.x", "net0: other", "mend", "net0", Side: ReasonSides.Destination, Host: "gamma"),
            ]));
        var ran = await Ran.Migctl("migrate", "web", "--coordinator", fake.Url);
        Assert.Equal(3, ran.Code);
        Assert.Equal("""
            migctl: none of 2 other hosts can take web [migration.no-host]
              beta
                - too small [destination.memory]
                  grow
              gamma
                - net0: other [device.x]
                  at the destination: mend

            """, ran.Error);
    }

    [Fact]
    public async Task Accepting_the_unknown_sends_the_operators_name()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On(Start, Samples.Migration(Outcomes.Running, 1));
        await Ran.Migctl("migrate", "web", "--to", "beta", "--accept-unknown", "--operator", "ada", "--detach", "--coordinator", fake.Url);
        Assert.Contains("""POST /v1/migrations {"guest":"web","to":"beta","maxDowntimeMs":300,"acceptUnknownBy":"ada"}""", fake.Requests);
    }

    [Fact]
    public async Task Travelling_unsealed_is_asked_for_and_shown_with_the_operators_name()
    {
        var plan = new PlanView(null, [], [], [], [], PlainAcceptedBy: "ada");
        await using var fake = (await FakeCoordinator.StartAsync()).On(Start, Samples.Migration(Outcomes.Running, 1))
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.Completed, report: Samples.Report()) with { Plan = plan });
        await Ran.Migctl("migrate", "web", "--to", "beta", "--plain", "--operator", "ada", "--detach", "--coordinator", fake.Url);
        var ran = await Ran.Migctl("migration", "show", "m-1", "--coordinator", fake.Url);
        Assert.Contains("""POST /v1/migrations {"guest":"web","to":"beta","maxDowntimeMs":300,"acceptPlainBy":"ada"}""", fake.Requests);
        Assert.Contains("  ada had guest RAM and device state travel unsealed", ran.Output);
    }

    [Fact]
    public async Task A_full_comparison_is_asked_for_and_told_of()
    {
        var report = Samples.Report() with { RamDigest = new string('a', 64) };
        await using var fake = (await FakeCoordinator.StartAsync()).On(Start, Samples.Migration(Outcomes.Running, 1))
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.Completed, report: report));
        await Ran.Migctl("migrate", "web", "--to", "beta", "--verify", "full", "--detach", "--coordinator", fake.Url);
        var ran = await Ran.Migctl("migration", "show", "m-1", "--coordinator", fake.Url);
        Assert.Contains("""POST /v1/migrations {"guest":"web","to":"beta","maxDowntimeMs":300,"verifyFull":true}""", fake.Requests);
        Assert.Contains("all of RAM was compared before any vote: the same on both hosts (SHA-256 aaaaaaaaaaaaaaaa…)", ran.Output);
    }

    [Fact]
    public async Task Show_tells_who_accepted_the_unknown_and_what_is_dropped()
    {
        var plan = new PlanView("ada", [new Reason("device.no-scheme", "tape0: nobody knows", "accept it")],
            [new DroppedSectionsView("net0", ["statistics"])], [], []);
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.Completed, report: Samples.Report()) with { Plan = plan });
        var ran = await Ran.Migctl("migration", "show", "m-1", "--coordinator", fake.Url);
        Assert.Contains("  ada accepted what was unknown:\n    - tape0: nobody knows [device.no-scheme]", ran.Output);
        Assert.Contains("  beta drops optional state of net0: statistics", ran.Output);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("json")]
    public async Task Ctrl_c_stops_watching_and_says_how_to_go_on(string form)
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On(Start, Samples.Migration(Outcomes.Running, 1))
            .OnEach(Watch, Samples.Migration(Outcomes.Running, 2, [new PhaseView("Planning", 0), new PhaseView("Preparing", 1), new PhaseView("PreCopy", 5)]));
        var interruption = new Interruption();
        var output = new RaisesAt("PreCopy", interruption);
        // In JSON form the progress goes to the other stream, so there the request itself is the barrier.
        var run = Ran.Migctl(interruption, output, "migrate", "web", "--to", "beta", "--output", form, "--coordinator", fake.Url);
        if (form == "json") await InterruptAtAsync(fake, "after=2", interruption);
        var ran = await run;
        Assert.Equal(130, ran.Code);
        Assert.Contains("migctl migration watch m-1", ran.Error);
        Assert.Contains("migctl migration cancel m-1", ran.Error);
        Assert.DoesNotContain(fake.Requests, request => request.Contains("cancel"));
        if (form == "json") Assert.Equal("running", JsonDocument.Parse(ran.Output).RootElement.GetProperty("outcome").GetString());
    }

    [Fact]
    public async Task Cancel_too_late_is_refused()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails(
            "POST /v1/migrations/m-1/cancel", 409, new ApiError(ErrorCodes.TooLate, "m-1 is decided", []));
        Assert.Equal(3, (await Ran.Migctl("migration", "cancel", "m-1", "--coordinator", fake.Url)).Code);
    }

    [Fact]
    public async Task Show_is_a_question_and_not_an_outcome()
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.Failed, reasons: [new Reason("peer.lost", "beta is gone", "mend it")]));
        var ran = await Ran.Migctl("migration", "show", "m-1", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.Contains("Failed: web runs on alpha as before", ran.Output);
        Assert.Contains("beta is gone [peer.lost]", ran.Output);
    }

    private static async Task InterruptAtAsync(FakeCoordinator fake, string request, Interruption interruption)
    {
        await fake.UntilAsked(request);
        interruption.Raise();
    }

    /// <summary>Ctrl-C at the moment a line is printed.</summary>
    private sealed class RaisesAt(string line, Interruption interruption) : StringWriter
    {
        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            if (value?.Contains(line) == true) interruption.Raise();
        }
    }
}
