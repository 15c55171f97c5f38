using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Vfio;
using Xunit.Abstractions;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Three coordinators on one PostgreSQL; what becomes of a migration when its coordinator or the store fails.</summary>
[Collection(EndToEndTest.Name)]
public sealed class CoordinatorFaultTests(Engines engines, ITestOutputHelper output) : IClassFixture<Engines>
{
    private const string Owner = Fleet.Coordinator;

    [Theory, OnPostgres]
    public async Task A_killed_coordinators_migration_is_carried_on_by_another(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var held = await AssertTakenOnAsync(fleet, "kill -9", node => node.KillAsync());

        var why = await fleet.Client.WhyMigrationAsync(held.Id, default);
        Assert.Contains(why.Timeline, entry => entry.Term == 2 && entry.What == "took over under term 2");
        Assert.Equal([$"coordinator {Owner}"], why.Timeline.Where(entry => entry.Term == 1).Select(entry => entry.Who).Distinct());
        Assert.DoesNotContain(why.Timeline, entry => entry.Term == 2 && entry.Who == $"coordinator {Owner}");
        Assert.Equal(held.Destination, why.Verdict.Owner);
        Assert.Contains(why.Verdict.Proof, proof => proof.Contains("Permit", StringComparison.Ordinal));
        Assert.Empty(why.Missing);
    }

    [Theory, OnPostgres]
    public async Task A_coordinator_that_stood_still_writes_nothing_when_it_goes_on(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var held = await fleet.HoldAsync(FleetMigrations.PreCopy);
        Signals.Freeze(fleet.Node(Owner).Id);
        Release(fleet);
        var ended = await fleet.UntilEndedAsync(held.Id);
        Assert.True(ended.Outcome == Outcomes.Completed, FleetMigrations.Describe(ended));
        var journal = await Engines.ReadJournalAsync(fleet.Database!, held.Id);

        Signals.Thaw(fleet.Node(Owner).Id);
        await Eventually.TrueAsync("the old coordinator lets go of it", () => Task.FromResult(
            fleet.Node(Owner).Log.Contains($"another coordinator has taken {held.Id} on", StringComparison.Ordinal)));

        Assert.Equal(journal, await Engines.ReadJournalAsync(fleet.Database!, held.Id));
        Assert.All(journal.SkipWhile(entry => entry.Type != "TookOver"), entry => Assert.True(entry.Term > 1, $"{entry}"));
        await fleet.AssertRunsAsync(Fleet.Beta);
    }

    [Theory, OnPostgres]
    public async Task A_coordinator_that_ends_in_good_order_hands_its_migration_over(string engine)
    {
        await using var fleet = await StartAsync(engine);
        await AssertTakenOnAsync(fleet, "SIGTERM", async node => Assert.Equal(0, await node.EndAsync()));
    }

    [Theory, OnPostgres]
    public async Task Any_coordinator_cancels_another_ones_migration(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var held = await fleet.HoldAsync(FleetMigrations.PreCopy);

        await fleet.Client.CancelMigrationAsync(held.Id, default);
        var ended = await fleet.UntilEndedAsync(held.Id);

        Assert.Equal(Outcomes.Cancelled, ended.Outcome);
        await fleet.AssertRunsAsync(Fleet.Alpha);
    }

    [Theory, OnPostgres]
    public async Task A_store_that_goes_away_before_the_yield_costs_the_guest_nothing(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var held = await fleet.HoldAsync(FleetMigrations.StopAndCopy);
        engines.Server.Stop();
        Signals.Thaw(fleet.Files(Fleet.Beta).Server("serial0"));
        await fleet.Files(Fleet.Alpha).GoesOnAsync();

        engines.Server.Start();
        var ended = await fleet.UntilEndedAsync(held.Id);
        var view = await fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal(ended.Outcome == Outcomes.Completed ? Fleet.Beta : Fleet.Alpha, view.Host);
        await fleet.AssertRunsAsync(view.Host);
    }

    [Theory, OnPostgres]
    public async Task A_store_that_goes_away_after_the_yield_holds_both_sides_until_it_is_back(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var migration = await HoldBeforeTheDecisionAsync(fleet);

        engines.Server.Stop();
        Signals.Thaw(fleet.Node(Owner).Id);
        await Eventually.TrueAsync("the migration is in doubt", async () =>
            (await fleet.First.GetMigrationAsync(migration.Id, default)).Phase == "InDoubt");
        var watched = await fleet.MigctlAsync("migration", "watch", migration.Id, "--limit", "100ms");
        output.WriteLine($"{watched.Code}: {watched.Output}");
        Assert.Equal(7, watched.Code);
        Assert.Contains("InDoubt since", watched.Output, StringComparison.Ordinal);
        // Longer than a paused guest waits for its owner: this one has none until the row can be read.
        await Task.Delay(CoordinatorMachine.PauseDeadline + TimeSpan.FromSeconds(1));
        foreach (string host in (string[])[Fleet.Alpha, Fleet.Beta])
            Assert.Contains(await fleet.Files(host).MachineStateAsync(), (DeviceState[])[DeviceState.Stop, DeviceState.StopCopy]);

        engines.Server.Start();
        var ended = await fleet.UntilEndedAsync(migration.Id);
        Assert.True(ended.Outcome == Outcomes.Completed, FleetMigrations.Describe(ended));
        await fleet.AssertRunsAsync(Fleet.Beta);
        Assert.Empty(fleet.Files(Fleet.Alpha).Leftovers());
    }

    [Theory, OnPostgres]
    public async Task A_coordinator_that_stood_still_at_the_decision_decides_nothing_when_it_goes_on(string engine)
    {
        await using var fleet = await StartAsync(engine);
        var migration = await HoldBeforeTheDecisionAsync(fleet);

        var ended = await fleet.UntilEndedAsync(migration.Id);
        Assert.True(ended.Outcome == Outcomes.Completed, FleetMigrations.Describe(ended));
        var (journal, row) = (await Engines.ReadJournalAsync(fleet.Database!, migration.Id), await Engines.ReadRowAsync(fleet.Database!, Fleet.Guest));

        Signals.Thaw(fleet.Node(Owner).Id);
        await Eventually.TrueAsync("the old coordinator lets go of it", () => Task.FromResult(
            fleet.Node(Owner).Log.Contains($"another coordinator has taken {migration.Id} on", StringComparison.Ordinal)));

        Assert.Equal(journal, await Engines.ReadJournalAsync(fleet.Database!, migration.Id));
        Assert.Equal(row, await Engines.ReadRowAsync(fleet.Database!, Fleet.Guest));
        await fleet.AssertRunsAsync(Fleet.Beta);
    }

    /// <summary>Both votes are cast and known, and the coordinator stands still as it is about to swap the row.</summary>
    private static async Task<MigrationView> HoldBeforeTheDecisionAsync(Fleet fleet)
    {
        const string decision = "row:before:Committed";
        await fleet.RestartNodeAsync(Owner, new Armed($"{decision}=stop"));
        await fleet.UntilJoinedAsync();
        var migration = await fleet.MigrateAsync(Fleet.Beta);
        await Eventually.TrueAsync("the coordinator is about to decide", () => Task.FromResult(
            fleet.Node(Owner).Log.Contains($"failpoint {decision}: stop", StringComparison.Ordinal)));
        return migration;
    }

    /// <summary>MC_TAKEOVER_RUNS=5 for figures: there and back again.</summary>
    private static int Runs => int.Parse(
        Environment.GetEnvironmentVariable("MC_TAKEOVER_RUNS") ?? "1", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>The owner of a migration in pre-copy ends; another carries on, and it completes. Says how long nobody owned it.</summary>
    /// <returns>the last one.</returns>
    private async Task<MigrationView> AssertTakenOnAsync(Fleet fleet, string how, Func<NodeProcess, Task> endAsync)
    {
        MigrationView held = null!;
        var took = new List<long>();
        for (int run = 0; run < Runs; run++)
        {
            held = await fleet.HoldAsync(FleetMigrations.PreCopy, run % 2 == 0 ? Fleet.Beta : Fleet.Alpha);
            var since = Stopwatch.StartNew();
            var ending = endAsync(fleet.Node(Owner));
            await Eventually.TrueAsync("another has taken it on", async () =>
                (await Engines.ReadJournalAsync(fleet.Database!, held.Id)).Any(entry => entry.Type == "TookOver"));
            took.Add(since.ElapsedMilliseconds);
            await ending;
            Release(fleet, held.Destination);
            var ended = await fleet.UntilEndedAsync(held.Id);
            Assert.True(ended.Outcome == Outcomes.Completed, FleetMigrations.Describe(ended));
            await fleet.AssertRunsAsync(held.Destination);
            await fleet.StartNodeAsync(Owner);
        }

        output.WriteLine($"another coordinator carries on after {how} of the owner: {string.Join(", ", took.Order())} ms");
        return held;
    }

    /// <summary>What held the migration in PreCopy goes on.</summary>
    private static void Release(Fleet fleet, string destination = Fleet.Beta) => Signals.Thaw(fleet.Files(destination).Server("gpu0"));

    private async Task<Fleet> StartAsync(string engine)
    {
        Assert.Equal(Engines.Postgres, engine);
        return await Fleet.StartAsync(guest: Fleet.Spec(), database: engines.Server.CreateDatabase());
    }
}
