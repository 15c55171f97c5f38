using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>A transfer goes on where it was acknowledged: after a lost connection, and in a daemon's next life.</summary>
public sealed class ResumeTests : EndToEndTest
{
    private const int GuestMiB = 192;

    /// <summary>Three times as large as what may be sent again, and slow to write.</summary>
    internal override GuestSpec Guest => Fleet.Spec(memoryMiB: GuestMiB) with { Vcpus = new VcpuSpec(2, "hotset", 2) };

    [Theory]
    [InlineData(Fleet.Alpha, Fleet.Beta)]
    [InlineData(Fleet.Beta, Fleet.Alpha)]
    public async Task The_guest_never_notices_that_its_daemon_is_killed_and_moves_all_the_same(string source, string destination)
    {
        if (source == Fleet.Beta) await Fleet.AssertMovesAsync(Fleet.Beta);
        var held = await HoldInTheMiddleAsync(destination);

        await Fleet.Node(source).KillAsync();
        await Fleet.Files(source).GoesOnAsync();
        Signals.Thaw(Fleet.Files(destination).Server("gpu0"));
        await Fleet.StartNodeAsync(source);

        await AssertCompletesAsync(held, destination);
    }

    [Fact]
    public async Task The_destinations_daemon_is_killed_in_pre_copy_and_takes_up_what_has_arrived()
    {
        var held = await HoldInTheMiddleAsync(Fleet.Beta);

        await Fleet.Node(Fleet.Beta).KillAsync();
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("gpu0"));
        await Fleet.StartNodeAsync(Fleet.Beta);

        await AssertCompletesAsync(held, Fleet.Beta);
    }

    [Fact]
    public async Task Both_daemons_are_killed_in_pre_copy()
    {
        var held = await HoldInTheMiddleAsync(Fleet.Beta);

        await Fleet.Node(Fleet.Beta).KillAsync();
        await Fleet.Node(Fleet.Alpha).KillAsync();
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("gpu0"));
        await Fleet.StartNodeAsync(Fleet.Alpha);
        await Fleet.StartNodeAsync(Fleet.Beta);

        await AssertCompletesAsync(held, Fleet.Beta);
    }

    [Theory]
    [InlineData(FleetMigrations.PreCopy, "gpu0")]
    [InlineData(FleetMigrations.StopAndCopy, "serial0")]
    public async Task Connections_that_are_cut_again_and_again_are_made_anew(string phase, string frozen)
    {
        var held = await Fleet.HoldAsync(phase);

        int cut = 0;
        while (cut == 0) cut = DataConnections.Cut(Fleet.Node(Fleet.Beta));
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server(frozen));
        if (phase == FleetMigrations.PreCopy)
            for (int more = 0; more < 5; more++)
            {
                await Task.Delay(50); // somewhere in the transfer; where does not matter
                DataConnections.Cut(Fleet.Node(Fleet.Beta));
            }

        await AssertCompletesAsync(held, Fleet.Beta);
    }

    [Fact]
    public async Task A_network_that_loses_everything_for_longer_than_a_connection_lives_is_survived_in_pre_copy()
    {
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy);

        // As seen from the source: nobody there reads, and nobody answers.
        Signals.Freeze(Fleet.Node(Fleet.Beta).Id);
        Signals.Thaw(Fleet.Files(Fleet.Beta).Server("gpu0"));
        await Task.Delay(LongLoss);
        Signals.Thaw(Fleet.Node(Fleet.Beta).Id);

        await AssertCompletesAsync(held, Fleet.Beta, resumed: 0);
    }

    /// <summary>MC_LOSS_SECONDS=30 for the long run.</summary>
    private static TimeSpan LongLoss => TimeSpan.FromSeconds(int.Parse(
        Environment.GetEnvironmentVariable("MC_LOSS_SECONDS") ?? "12", System.Globalization.CultureInfo.InvariantCulture));

    /// <summary>Most of the guest's pages have been sent, and no pass can end.</summary>
    private async Task<MigrationView> HoldInTheMiddleAsync(string destination)
    {
        var held = await Fleet.HoldAsync(FleetMigrations.PreCopy, destination);
        return await Fleet.UntilAsync(held.Id, "has sent most of it", view => view.Progress.TransferredBytes > (GuestMiB << 20) / 3 * 2);
    }

    private async Task AssertCompletesAsync(MigrationView held, string destination, int resumed = 1)
    {
        var ended = await Fleet.UntilEndedAsync(held.Id);
        Assert.True((ended.Phase, ended.Outcome) == ("Completed", Outcomes.Completed), FleetMigrations.Describe(ended));
        Assert.Empty(ended.Reasons);
        Assert.True(ended.Report!.Resumed >= resumed, $"resumed {ended.Report.Resumed} times");
        long again = ended.AssertSentOnce();
        // The same without the product's own count: all of RAM once, and what was written since. Two nets write 2 MiB/s each.
        double needed = ((long)GuestMiB << 20) + 4096.0 * await Fleet.Files(destination).PageWritesAsync() + ended.Report.TotalMs * 4 * 1048.576;
        Assert.True(ended.Report.Bytes.Pages + ended.Report.Bytes.ZeroPages <= needed + again,
            $"{ended.Report.Bytes}, where {needed / (1 << 20):F0} MiB were needed");
        Assert.All(ended.Report.Devices, device => Assert.True(device.Identical, device.ToString()));
        await Fleet.AssertRunsAsync(destination);
        Assert.Empty(Fleet.Files(held.Source).Leftovers());
    }
}
