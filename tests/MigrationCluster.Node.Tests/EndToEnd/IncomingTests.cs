namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>The incoming guest while nobody does anything with it: the coordinator is a node of its own, so that either host may stand still.</summary>
[Collection(EndToEndTest.Name)]
public sealed class IncomingTests
{
    /// <summary>Everything is loaded and verified, the source has yielded and the row is undecided: no device is asked for anything.</summary>
    [Fact]
    public Task The_guest_stays_when_a_device_of_the_destination_dies_after_it_was_verified_and_before_the_decision() => RunAsync(async fleet =>
    {
        await fleet.RestartNodeAsync(Fleet.Alpha, new Armed("source:before:GuestYielded=stop"));
        await fleet.StartGuestAsync();
        var migration = await fleet.MigrateAsync(Fleet.Beta);
        await Eventually.TrueAsync("the source stands still with its vote", () => Task.FromResult(
            fleet.Node(Fleet.Alpha).Log.Contains("failpoint source:before:GuestYielded", StringComparison.Ordinal)));
        var held = await fleet.UntilPhaseAsync(migration.Id, "Committing");

        Signals.KillNow(fleet.Files(Fleet.Beta).Server("net1"));

        await fleet.UntilPhaseAsync(migration.Id, "RollingBack");
        Signals.Thaw(fleet.Node(Fleet.Alpha).Id);
        await fleet.AssertFailsAsync(held, Fleet.Beta, "the device server of net1");
        Assert.Empty(fleet.Files(Fleet.Beta).Leftovers());
        await fleet.AssertRunsAsync(Fleet.Alpha);
        await fleet.AssertMovesAsync(Fleet.Beta);
    });

    /// <summary>The coordinator dies for good when everybody has accepted, and no source ever connects: nobody is left who would say a word.</summary>
    [Fact]
    public Task An_incoming_guest_whose_coordinator_does_not_come_back_expires_and_is_told_of_when_it_does() => RunAsync(async fleet =>
    {
        await fleet.StartGuestAsync();
        await fleet.RestartNodeAsync(Fleet.Coordinator, new Armed("coordinator:after:SetupAccepted=kill"));
        await fleet.UntilJoinedAsync();
        var migration = await fleet.MigrateAsync(Fleet.Beta);
        await Eventually.TrueAsync("the coordinator is dead", () => Task.FromResult(fleet.Node(Fleet.Coordinator).HasEnded));

        await Eventually.TrueAsync("nothing of the incoming guest is left", () => Task.FromResult(fleet.Files(Fleet.Beta).Leftovers().Count == 0));
        await fleet.Files(Fleet.Alpha).GoesOnAsync();

        await fleet.StartNodeAsync(Fleet.Coordinator);
        await fleet.UntilJoinedAsync();
        var ended = await fleet.UntilEndedAsync(migration.Id);
        Assert.Equal("Failed", ended.Phase);
        FleetMigrations.AssertNames(ended, Fleet.Beta, "no order and no connection of the source");
        await fleet.AssertRunsAsync(Fleet.Alpha);
        await fleet.AssertMovesAsync(Fleet.Beta);
    });

    /// <summary>Its journal is gone, and with it whoever could be asked: the process is of nobody, and has promised nothing.</summary>
    [Fact]
    public Task An_incoming_guest_that_no_session_knows_of_is_discarded_when_the_daemon_starts() => RunAsync(async fleet =>
    {
        await fleet.RestartNodeAsync(Fleet.Coordinator, new Armed("coordinator:after:SetupAccepted=kill"));
        await fleet.UntilJoinedAsync();
        await fleet.StartGuestAsync();
        var migration = await fleet.MigrateAsync(Fleet.Beta);
        await Eventually.TrueAsync("the coordinator is dead", () => Task.FromResult(fleet.Node(Fleet.Coordinator).HasEnded));
        Assert.Contains(migration.Id, await File.ReadAllTextAsync(fleet.Files(Fleet.Beta).PathOf("launch.json")), StringComparison.Ordinal);
        await fleet.Node(Fleet.Beta).KillAsync();
        foreach (string file in Directory.EnumerateFiles(fleet.PathOf(Fleet.Beta), "agent.db*")) File.Delete(file);

        await fleet.StartNodeAsync(Fleet.Coordinator);
        await fleet.StartNodeAsync(Fleet.Beta);

        Assert.Empty(fleet.Files(Fleet.Beta).Leftovers());
        Assert.Contains("belongs to no session", fleet.Node(Fleet.Beta).Log, StringComparison.Ordinal);
        // The source finds nobody to connect to.
        Assert.Equal("Failed", (await fleet.UntilEndedAsync(migration.Id)).Phase);
        await fleet.AssertRunsAsync(Fleet.Alpha);
    });

    /// <summary>A fleet that fails may have daemons that stand still: it is not asked to end, and tells all it has said.</summary>
    private static async Task RunAsync(Func<Fleet, Task> story)
    {
        string impatient = Fleet.Configuration(256).Replace(
            "{ \"memoryMiB\"", "{ \"reconnectSeconds\": 2, \"incomingExpirySeconds\": 10, \"memoryMiB\"", StringComparison.Ordinal);
        var fleet = await Fleet.StartAsync(alphaConfiguration: impatient, betaConfiguration: impatient, apart: true);
        try
        {
            await story(fleet);
        }
        catch (Exception error)
        {
            string said = fleet.Logs();
            await fleet.AbandonAsync();
            throw new InvalidOperationException($"{error.Message}\n{said}", error);
        }

        await fleet.DisposeAsync();
    }
}
