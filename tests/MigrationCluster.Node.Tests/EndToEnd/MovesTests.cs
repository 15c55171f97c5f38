using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

public sealed class MovesTests : EndToEndTest
{
    [Fact]
    public async Task A_working_guest_moves_there_and_back_again()
    {
        var before = await Fleet.AssertCleanAsync();

        var there = await Fleet.AssertMovesAsync(Fleet.Beta);
        var back = await Fleet.AssertMovesAsync(Fleet.Alpha);

        foreach (var (migration, source, destination) in new[] { (there, Fleet.Alpha, Fleet.Beta), (back, Fleet.Beta, Fleet.Alpha) })
        {
            Assert.Equal((source, destination), (migration.Source, migration.Destination));
            Assert.Equal(
                ["Preparing", "Negotiating", "PreCopy", "Quiescing", "StopAndCopy", "Verifying", "Committing", "Resuming", "Completed"],
                migration.Phases.Select(entered => entered.Phase));
            var report = migration.Report!;
            Assert.Empty(report.Residue);
            Assert.Equal(["gpu0", "net0", "net1", "serial0"], report.Devices.Select(device => device.Name).Order());
            Assert.All(report.Devices, device => Assert.True(device.Identical && device.StateBytes > 0, device.ToString()));
            Assert.Equal(report.DowntimeMs, report.Downtime.Sum(component => component.Ms), 3);
            Assert.True(report.Bytes.DeviceState > 128 << 20, "all of the gpu's memory was sent");
        }

        Assert.True(there.Epoch > 1 && back.Epoch > there.Epoch, $"epochs {there.Epoch}, then {back.Epoch}");
        Assert.Equal(back.Epoch, (await Fleet.Client.GetGuestAsync(Fleet.Guest, default)).Epoch);
        // The counters are registers of the machine: they came along both times.
        var after = await Fleet.AssertCleanAsync();
        Assert.True(after.PageWrites > before.PageWrites && after.Interrupts > before.Interrupts);
        Assert.Equal(before.Pages, after.Pages);
    }
}
