namespace MigrationCluster.Node.Tests.EndToEnd;

public sealed class DestinationFaultTests : EndToEndTest
{
    [Fact]
    public async Task The_paused_guest_stays_when_the_destinations_daemon_is_killed_and_does_not_come_back_in_time()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.StopAndCopy);

        await Fleet.Node(Fleet.Beta).KillAsync();

        // A paused guest does not wait for a host that may never come back.
        await Fleet.UntilPhaseAsync(held.Id, "RollingBack");
        await Fleet.Files(Fleet.Alpha).GoesOnAsync();
        await Fleet.AssertCleanAsync();
        Assert.NotEmpty(Fleet.Files(Fleet.Beta).Leftovers());

        await Fleet.StartNodeAsync(Fleet.Beta);
        await Fleet.AssertFailsAsync(held, Fleet.Alpha, "no connection to the destination");
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    /// <summary>Its next daemon has half of the pause deadline; a starved machine may need another try.</summary>
    [Fact]
    public async Task A_destinations_daemon_that_is_killed_with_everything_arrived_gives_its_verdict_after_its_restart()
    {
        string phase = "";
        for (int tries = 0; phase != "Completed" && tries < 4; tries++)
        {
            await Fleet.RestartNodeAsync(Fleet.Beta, new Armed("destination:after:StreamComplete=kill"));
            var migration = await Fleet.MigrateAsync(Fleet.Beta);
            await Eventually.TrueAsync("the destination's daemon is dead", () => Task.FromResult(Fleet.Node(Fleet.Beta).HasEnded));
            await Fleet.StartNodeAsync(Fleet.Beta, joins: false);
            phase = (await Fleet.UntilEndedAsync(migration.Id)).Phase;
            await Fleet.AssertRunsAsync(phase == "Completed" ? Fleet.Beta : Fleet.Alpha);
        }

        Assert.Equal("Completed", phase);
        await Eventually.TrueAsync("nothing is left on alpha", () => Task.FromResult(Fleet.Files(Fleet.Alpha).Leftovers().Count == 0));
    }

    [Theory]
    [InlineData(FleetMigrations.PreCopy, "gpu0")]
    [InlineData(FleetMigrations.StopAndCopy, "serial0")]
    public async Task The_guest_stays_when_a_device_of_the_destination_dies(string phase, string device)
    {
        var held = await Fleet.HoldAsync(phase);

        Signals.KillNow(Fleet.Files(Fleet.Beta).Server(device));

        await Fleet.AssertFailsAsync(held, Fleet.Beta, device);
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    [Theory]
    [InlineData(FleetMigrations.PreCopy)]
    [InlineData(FleetMigrations.StopAndCopy)]
    public async Task The_guest_stays_when_the_guest_process_of_the_destination_dies(string phase)
    {
        var held = await Fleet.HoldAsync(phase);

        Signals.KillNow(Fleet.Files(Fleet.Beta).ProcessId);

        await Fleet.AssertFailsAsync(held, Fleet.Beta, "guest");
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    [Fact]
    public async Task Another_migration_between_the_same_hosts_does_not_notice_a_device_that_dies()
    {
        const string other = "other";
        await Fleet.StartGuestAsync(Fleet.Spec(other));
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy);
        var undisturbed = await Fleet.MigrateAsync(Fleet.Beta, other);

        Signals.KillNow(Fleet.Files(Fleet.Beta).Server("gpu0"));

        await Fleet.AssertFailsAsync(held, Fleet.Beta, "gpu0");
        Assert.Equal("Completed", (await Fleet.UntilEndedAsync(undisturbed.Id)).Phase);
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertRunsAsync(Fleet.Beta, other);
    }
}
