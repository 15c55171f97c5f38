using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

public sealed class CancelTests : EndToEndTest
{
    [Theory]
    [InlineData(FleetMigrations.PreCopy)]
    [InlineData(FleetMigrations.StopAndCopy)]
    public async Task A_cancelled_migration_leaves_the_guest_where_it_was(string phase)
    {
        var held = await Fleet.HoldAsync(phase);

        await Fleet.Client.CancelMigrationAsync(held.Id, default);
        var ended = await Fleet.UntilEndedAsync(held.Id);

        Assert.Equal(("Cancelled", Outcomes.Cancelled), (ended.Phase, ended.Outcome));
        FleetMigrations.AssertLeft(ended, phase);
        Assert.Contains(ended.Reasons, reason => reason.Code == "migration.cancelled");
        Assert.Empty(Fleet.Files(Fleet.Beta).Leftovers());
        await Fleet.AssertRunsAsync(Fleet.Alpha);
        await Fleet.AssertMovesAsync(Fleet.Beta);
    }

    [Fact]
    public async Task A_guest_that_is_migrating_is_neither_migrated_nor_stopped_and_the_migration_named()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy);

        foreach (var asked in (Func<Task>[])
            [() => Fleet.MigrateAsync(Fleet.Beta), () => Fleet.Client.StopGuestAsync(Fleet.Guest, default)])
        {
            var refused = await Assert.ThrowsAsync<ApiException>(asked);
            Assert.Equal(ErrorCodes.GuestMigrating, refused.Error.Code);
            Assert.Contains(held.Id, refused.Error.Message, StringComparison.Ordinal);
        }

        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("gpu0"));
        Assert.Equal("Completed", (await Fleet.UntilEndedAsync(held.Id)).Phase);
        await Fleet.AssertRunsAsync(Fleet.Beta);
    }
}
