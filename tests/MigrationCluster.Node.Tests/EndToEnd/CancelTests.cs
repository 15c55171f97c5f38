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
}
