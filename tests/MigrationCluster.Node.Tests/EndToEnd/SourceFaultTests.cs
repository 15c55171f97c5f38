using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

public sealed class SourceFaultTests : EndToEndTest
{
    [Fact]
    public async Task A_guest_caught_paused_keeps_itself_with_no_daemon_at_all()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.StopAndCopy);

        await Fleet.Node(Fleet.Alpha).KillAsync();
        await Fleet.Files(Fleet.Alpha).GoesOnAsync();

        await Fleet.StartNodeAsync(Fleet.Alpha);
        await Fleet.AssertFailsAsync(held, Fleet.Alpha, "daemon was restarted");
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    [Fact]
    public async Task A_guest_whose_process_dies_before_it_was_copied_is_lost_and_everything_of_it_released()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy);

        Signals.KillNow(Fleet.Files(Fleet.Alpha).ProcessId);

        var ended = await Fleet.UntilEndedAsync(held.Id);
        Assert.Equal(("GuestLost", Outcomes.GuestLost), (ended.Phase, ended.Outcome));
        FleetMigrations.AssertNames(ended, Fleet.Alpha, "guest process of g on the source died");
        Assert.Empty(Fleet.Files(Fleet.Alpha).Leftovers());
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        var lost = await Fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal(("lost", null), (lost.State, lost.Migration));
        Assert.All(await Fleet.Client.ListNodesAsync(default), node => Assert.Equal(node.MemoryMiB, node.MemoryFreeMiB));

        // Once the operator has given it up, its name is free again, and so is the way to the other host.
        await Fleet.Client.StopGuestAsync(Fleet.Guest, default);
        await Fleet.StartGuestAsync();
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    [Fact]
    public async Task A_device_that_dies_on_the_source_fails_the_migration_and_is_shown_in_error()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy);

        Signals.KillNow(Fleet.Files(Fleet.Alpha).Server("gpu0"));
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("gpu0"));

        await Fleet.AssertFailsAsync(held, Fleet.Alpha, "gpu0");
        await AssertRunsWithoutAsync("gpu0");

        // What is broken is not moved.
        var again = await Fleet.UntilEndedAsync((await Fleet.MigrateAsync(Fleet.Beta)).Id);
        Assert.Equal("Failed", again.Phase);
        FleetMigrations.AssertNames(again, Fleet.Alpha, "gpu0");
        await AssertRunsWithoutAsync("gpu0");
    }

    [Fact]
    public async Task A_device_that_dies_while_everything_stands_still_does_not_hold_the_others_on_the_way_back()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.StopAndCopy);

        Signals.KillNow(Fleet.Files(Fleet.Alpha).Server("net1"));
        await Fleet.Client.CancelMigrationAsync(held.Id, default);

        var ended = await Fleet.UntilEndedAsync(held.Id);
        Assert.Equal("Cancelled", ended.Phase);
        FleetMigrations.AssertNames(ended, Fleet.Alpha, "net1");
        await AssertRunsWithoutAsync("net1");
    }

    /// <summary>The guest works on where it was, short of one device, which is shown in Error and isolated from its peers.</summary>
    private async Task AssertRunsWithoutAsync(string broken)
    {
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        var guest = await Fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal((Fleet.Alpha, "running", null), (guest.Host, guest.State, guest.Migration));
        Assert.All(guest.Devices, device => Assert.Equal(device.Name == broken ? "Error, isolated" : "Running", device.State));
        await Fleet.Files(Fleet.Alpha).GoesOnAsync();
        var check = await Fleet.Client.CheckGuestAsync(Fleet.Guest, default);
        Assert.True(check is { Pages: > 0, Wrong: 0 }, check.ToString());
    }
}
