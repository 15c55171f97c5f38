using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Devices of which nobody can say before they exist whether they fit: a host's template names a command, not a model.</summary>
[Collection(EndToEndTest.Name)]
public sealed class UnknownDevicesTests
{
    private const string Operator = "ada";

    [Fact]
    public async Task A_foreign_device_is_refused_as_unknown_and_moves_once_an_operator_accepts_it_by_name()
    {
        string foreign = Command("\"--model\", \"serial\", \"--plain\"");
        await using var fleet = await Fleet.StartAsync(alphaConfiguration: foreign, betaConfiguration: foreign, guest: Spec());

        var refused = (await Assert.ThrowsAsync<ApiException>(() => fleet.MigrateAsync(Fleet.Beta))).Error;
        Assert.Equal(ErrorCodes.Refused, refused.Code);
        Assert.All(refused.Reasons, reason =>
        {
            Assert.Equal("dev0", reason.Device);
            Assert.Contains("--accept-unknown", reason.Remedy, StringComparison.Ordinal);
        });
        Assert.Equal(Verdicts.Unknown, (await fleet.Client.CheckCompatAsync(Fleet.Guest, Fleet.Beta, default)).Verdict);
        Assert.Empty(await fleet.Client.ListMigrationsAsync(default));

        var moved = await fleet.UntilEndedAsync((await fleet.MigrateAsync(Fleet.Beta, acceptUnknownBy: Operator)).Id);
        Assert.True(moved.Outcome == Outcomes.Completed, FleetMigrations.Describe(moved));
        Assert.Equal(Operator, moved.Plan!.UnknownAcceptedBy);
        Assert.Contains(moved.Plan.Unknown, reason => reason.Device == "dev0");
        Assert.Equal(Fleet.Beta, (await fleet.Client.GetGuestAsync(Fleet.Guest, default)).Host);
    }

    /// <summary>
    /// Nothing that a host tells of a command says no, so planning lets it through by name; then the real device does: it is of an older
    /// driver, which does not know what the source's is configured with, or it is another device altogether.
    /// </summary>
    [Theory]
    [InlineData("\"--model\", \"net\", \"--version\", \"2\"", "\"--model\", \"net\", \"--driver\", \"1\"")]
    [InlineData("\"--model\", \"serial\"", "\"--model\", \"gpu\"")]
    public async Task A_real_device_refuses_at_save_setup_with_zero_bytes_sent_and_no_source_device_moved(string source, string destination)
    {
        await using var fleet = await Fleet.StartAsync(
            alphaConfiguration: Command(source), betaConfiguration: Command(destination), guest: Spec());

        var started = await fleet.MigrateAsync(Fleet.Beta, acceptUnknownBy: Operator);
        var ended = await fleet.UntilEndedAsync(started.Id);

        Assert.True(ended.Outcome == Outcomes.Refused, FleetMigrations.Describe(ended));
        FleetMigrations.AssertLeft(ended, "Negotiating");
        Assert.Contains(ended.Reasons, reason => reason is { Device: "dev0", Side: ReasonSides.Destination } && reason.Remedy.Length > 0);
        Assert.Equal((0L, 0L), (ended.DiscardedBytes, ended.Progress.TransferredBytes));
        Assert.Empty(fleet.Files(Fleet.Beta).Leftovers());
        await AssertNothingMovedAsync(fleet);
    }

    /// <summary>The source's own journal: no device was moved, no connection to the destination was opened.</summary>
    private static async Task AssertNothingMovedAsync(Fleet fleet)
    {
        using var alpha = new AgentApi(new HostName(Fleet.Alpha), fleet.Node(Fleet.Alpha).Address.ToString());
        var journal = await alpha.ReadEventsAsync(0, TimeSpan.Zero, default);
        Assert.DoesNotContain(journal.Events, numbered => numbered.Event is DeviceStateReached or TransferOpened or PreCopyStarted);
        var view = await fleet.Client.GetGuestAsync(Fleet.Guest, default);
        Assert.Equal((Fleet.Alpha, "running"), (view.Host, view.State));
        Assert.All(view.Devices, device => Assert.Equal("Running", device.State));
    }

    private static GuestSpec Spec() =>
        new(Fleet.Guest, 64, new VcpuSpec(1, "hotset", 4), [new DeviceSpec("dev0", "dev")]);

    private static string Command(string arguments) => $$"""
        { "memoryMiB": 256, "templates": { "dev": {
            "command": ["{{GuestExecutable.Find()}}", "device", {{arguments}}, "--socket", "{socket}"] } } }
        """;
}
