using System.Diagnostics;
using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>
/// Real transfers under a limit. How fast they are is measured in benchmarks: here only what no load on the machine can break, that in the time
/// that has passed no more was sent than the limit lets.
/// </summary>
public sealed class BandwidthTests : EndToEndTest
{
    private const long Limit = 4 << 20;

    /// <summary>What is counted as sent and has not left yet: a buffer of each connection, and what a limit lets go before its time.</summary>
    private const long UnderWay = 2 << 20;

    /// <summary>Without its limit a transfer sends that in no time at all.</summary>
    private const long Enough = 2 * Limit;

    private long _asked, _began;

    [Fact]
    public async Task A_migration_keeps_to_its_limit_in_its_daemons_next_life_too_until_an_operator_lifts_it()
    {
        _asked = _began = Stopwatch.GetTimestamp();
        var started = await Fleet.First.MigrateAsync(
            new MigrateRequest(Fleet.Guest, Fleet.Beta, MaxDowntimeMs: 3000, MaxBytesPerSecond: Limit), default);
        Assert.Equal(Limit, started.MaxBytesPerSecond);
        long before = await UntilSentAsync(started.Id, Enough);

        await Fleet.Node(Fleet.Alpha).KillAsync(); // the coordinator, and the source's daemon
        await Fleet.StartNodeAsync(Fleet.Alpha);
        await UntilSentAsync(started.Id, before + Enough);

        // The source goes on by itself; the coordinator of the next life may not have taken the migration on yet.
        string output = "";
        await Eventually.TrueAsync("somebody takes the change down", async () =>
        {
            (int code, output) = await Fleet.MigctlAsync("migration", "set", started.Id, "--bandwidth", "unlimited");
            return code == 0;
        });
        Assert.Equal($"{started.Id} keeps to unlimited\n", output);
        await AssertCompletesAsync(started.Id);
        var refused = await Assert.ThrowsAsync<ApiException>(
            () => Fleet.Client.LimitMigrationAsync(started.Id, new BandwidthRequest(Limit), default));
        Assert.Equal(ErrorCodes.MigrationEnded, refused.Error.Code);
    }

    [Fact]
    public async Task A_nodes_limit_holds_for_what_it_sends_and_changes_while_it_sends()
    {
        Assert.Equal(0, (await Fleet.MigctlAsync("node", "set", Fleet.Alpha, "--bandwidth", "4MiB/s")).Code);
        Assert.Equal(
            [Limit, null], (await Fleet.Client.ListNodesAsync(default)).OrderBy(node => node.Name).Select(node => node.MaxBytesPerSecond));

        _asked = _began = Stopwatch.GetTimestamp();
        var started = await Fleet.MigrateAsync(Fleet.Beta);
        await UntilSentAsync(started.Id, Enough);

        Assert.Equal(0, (await Fleet.MigctlAsync("node", "set", Fleet.Alpha, "--bandwidth", "unlimited")).Code);
        await AssertCompletesAsync(started.Id);
    }

    /// <summary>Waits until so much was sent, and holds every look on the way against the limit.</summary>
    private async Task<long> UntilSentAsync(string migration, long bytes)
    {
        var reached = await Fleet.UntilAsync(migration, $"has sent {bytes} bytes", view =>
        {
            // A look that finds it before pre-copy was asked for after the one before.
            if (view.Phase is "Planning" or "Preparing" or "Negotiating") _began = _asked;
            _asked = Stopwatch.GetTimestamp();
            double most = Stopwatch.GetElapsedTime(_began).TotalSeconds * Limit + UnderWay;
            Assert.True(view.Progress.TransferredBytes <= most, $"{view.Progress.TransferredBytes} bytes are sent, and {most} may be");
            return view.Progress.TransferredBytes >= bytes;
        });
        Assert.Equal(FleetMigrations.PreCopy, reached.Phase);
        return reached.Progress.TransferredBytes;
    }

    private async Task AssertCompletesAsync(string migration)
    {
        var ended = await Fleet.UntilEndedAsync(migration);
        Assert.True(ended.Phase == "Completed", FleetMigrations.Describe(ended));
        await Fleet.AssertRunsAsync(Fleet.Beta);
    }
}
