using MigrationCluster.Api;
using MigrationCluster.Protocol.Guests;
using Xunit.Abstractions;

namespace MigrationCluster.Node.Tests.EndToEnd.Recovery;

/// <summary>The destination's whole host dies, and an operator who has made sure of it says so: <c>migctl migration reconcile --host-is-dead</c>.</summary>
[Collection(EndToEndTest.Name)]
public sealed class DeadHostTests(ITestOutputHelper output)
{
    public static TheoryData<string> Points =>
    [
        "coordinator:after:HostProvenDead",
        .. Environment.GetEnvironmentVariable("MC_ALL_FAILPOINTS") == "1" ? (string[])["coordinator:before:HostProvenDead"] : [],
    ];

    /// <param name="point">where the coordinator dies as it takes the proof down; then the operator says it again.</param>
    [Theory, MemberData(nameof(Points))]
    public Task Before_the_decision_the_guest_stays_and_the_migration_ends(string point) => OnFleetAsync(async fleet =>
    {
        await fleet.RestartNodeAsync(Fleet.Coordinator, new Armed($"{point}=kill"));
        await fleet.UntilJoinedAsync();
        var held = await fleet.HoldAsync(FleetMigrations.PreCopy);
        await AssertAnsweringIsNotDeadAsync(fleet);
        await fleet.KillHostAsync(Fleet.Beta);

        Assert.Equal(1, (await ProveAsync(fleet)).Code);
        await Eventually.TrueAsync("the coordinator is dead", () => Task.FromResult(fleet.Node(Fleet.Coordinator).HasEnded));
        await fleet.StartNodeAsync(Fleet.Coordinator);
        var told = await ProveAsync(fleet);

        Assert.True(told.Code == 0, told.Output);
        var ended = await fleet.UntilEndedAsync(held.Id);
        Assert.Equal("Failed", ended.Phase);
        Assert.Single(ended.Reasons, reason => reason.Message == "beta is dead, on ada's word");
        await fleet.AssertRunsAsync(Fleet.Alpha);
        await AssertRepairedAsync(fleet);
    });

    [Fact]
    public Task After_the_commit_the_guest_is_lost_for_nobody_can_tell_whether_it_ran_there() => OnFleetAsync(async fleet =>
    {
        const string permit = "fence:before:Permit";
        await fleet.RestartNodeAsync(Fleet.Beta, new Armed(Guests: $"{permit}=stop"));
        await fleet.UntilJoinedAsync();
        var migration = await fleet.MigrateAsync(Fleet.Beta);
        string log = fleet.Files(Fleet.Beta).PathOf(GuestFiles.Log);
        await Eventually.TrueAsync("it is about to take its permit", () => Task.FromResult(
            File.Exists(log) && File.ReadAllText(log).Contains($"failpoint {permit}: stop", StringComparison.Ordinal)));
        await fleet.KillHostAsync(Fleet.Beta);

        await ProveAsync(fleet);
        var ended = await fleet.UntilEndedAsync(migration.Id);
        Assert.True((ended.Phase, ended.Outcome) == ("GuestLost", Outcomes.GuestLost), FleetMigrations.Describe(ended));
        // The row says committed: the stale copy serves nobody, and reconciling has it released.
        await Eventually.TrueAsync("nothing is left on alpha", () => Task.FromResult(fleet.Files(Fleet.Alpha).Leftovers().Count == 0));

        // The operator gives it up: its name is free again.
        await AssertRepairedAsync(fleet);
        Assert.Equal("lost", (await fleet.Client.GetGuestAsync(Fleet.Guest, default)).State);
        await fleet.Client.StopGuestAsync(Fleet.Guest, default);
        await fleet.StartGuestAsync();
        await fleet.AssertRunsAsync(Fleet.Alpha);
    });

    private async Task OnFleetAsync(Func<Fleet, Task> test)
    {
        var fleet = await Fleet.StartAsync(guest: Fleet.Spec(), apart: true);
        try
        {
            await test(fleet);
        }
        catch (Exception)
        {
            output.WriteLine(fleet.Logs());
            await fleet.AbandonAsync();
            throw;
        }

        await fleet.DisposeAsync();
    }

    private static Task<(int Code, string Output)> ProveAsync(Fleet fleet) =>
        fleet.MigctlAsync("migration", "reconcile", "--host-is-dead", Fleet.Beta, "--operator", "ada");

    private static async Task AssertAnsweringIsNotDeadAsync(Fleet fleet)
    {
        var refused = await ProveAsync(fleet);
        Assert.True(refused.Code == 3, refused.Output);
        Assert.Contains("beta answers: it is not dead", refused.Output, StringComparison.Ordinal);
    }

    /// <summary>The host comes back, and clears away what it finds.</summary>
    private static async Task AssertRepairedAsync(Fleet fleet)
    {
        await fleet.StartNodeAsync(Fleet.Beta);
        await Eventually.TrueAsync("nothing is left on beta", () => Task.FromResult(fleet.Files(Fleet.Beta).Leftovers().Count == 0));
    }
}
