namespace MigrationCluster.Node.Tests.EndToEnd;

[Collection(EndToEndTest.Name)]
public sealed class MemoryTests
{
    private const long MostAnonymousMiB = 250;

    [Fact]
    public async Task A_daemon_stays_small_whatever_the_size_of_the_guest_it_moves()
    {
        await using var fleet = await Fleet.StartAsync(memoryMiB: 1024, guest: Fleet.Spec(memoryMiB: 512));
        long most = 0;
        void Look()
        {
            foreach (string host in (string[])[Fleet.Alpha, Fleet.Beta])
                most = Math.Max(most, ProcessFiles.AnonymousMiB(fleet.Node(host).Id));
        }

        var migration = await fleet.MigrateAsync(Fleet.Beta);
        var ended = await fleet.UntilAsync(migration.Id, "has ended", view =>
        {
            Look();
            return view.EndedAt is not null;
        });
        Look();

        Assert.True(ended.Phase == "Completed", FleetMigrations.Describe(ended));
        Assert.True(ended.Report!.Bytes.Pages > 256 << 20, "the guest's RAM was sent, not skipped");
        Assert.InRange(most, 1, MostAnonymousMiB - 1);
    }
}
