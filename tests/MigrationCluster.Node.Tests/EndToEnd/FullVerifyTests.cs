using MigrationCluster.Api;
using MigrationCluster.Devices.Ownership;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary><c>migctl migrate --verify full</c>: all of RAM is compared before anybody votes.</summary>
public sealed class FullVerifyTests : EndToEndTest
{
    [Fact]
    public async Task Bytes_that_change_in_the_destinations_ram_after_they_arrived_fail_the_migration_by_name_before_any_vote()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.StopAndCopy, verifyFull: true);
        Fleet.Files(Fleet.Beta).SpoilRam();
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("serial0"));

        var ended = await Fleet.UntilEndedAsync(held.Id);

        Assert.True((ended.Phase, ended.Outcome) == ("Failed", Outcomes.Failed), FleetMigrations.Describe(ended));
        FleetMigrations.AssertLeft(ended, FleetMigrations.StopAndCopy);
        Assert.True(ended.Reasons.Any(reason => reason.Code == "transfer.ram-disagrees"), FleetMigrations.Describe(ended));
        Assert.Null(FenceFile.Read(Fleet.Files(Fleet.Beta).Directory)?.VerifiedDigest);
        Assert.False(FenceFile.Read(Fleet.Files(Fleet.Alpha).Directory)!.Yielded);
        await Fleet.AssertRunsAsync(Fleet.Alpha);

        var again = await Fleet.MigrateAsync(Fleet.Beta, verifyFull: true);
        var moved = await Fleet.UntilEndedAsync(again.Id);
        Assert.True(moved.Phase == "Completed", FleetMigrations.Describe(moved));
        Assert.Equal(64, moved.Report!.RamDigest!.Length);
        await Fleet.AssertRunsAsync(Fleet.Beta);
    }
}
