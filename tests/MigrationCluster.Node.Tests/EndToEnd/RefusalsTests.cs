using MigrationCluster.Api;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>What is refused by name, with every reason at once, and leaves the one guest of the fleet as it is.</summary>
[Collection(EndToEndTest.Name)]
public sealed class RefusalsTests(RefusalsTests.Scanty scanty) : IClassFixture<RefusalsTests.Scanty>
{
    private readonly Fleet _fleet = scanty.Fleet;

    [Theory]
    [InlineData("nobody", Fleet.Beta, ErrorCodes.GuestUnknown, "nobody")]
    [InlineData(Fleet.Guest, "nowhere", ErrorCodes.HostUnknown, "nowhere")]
    [InlineData(Fleet.Guest, Fleet.Alpha, ErrorCodes.SameHost, Fleet.Alpha)]
    public async Task A_migration_of_or_to_what_is_not_there_is_refused_naming_it(string guest, string to, string code, string named)
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => _fleet.MigrateAsync(to, guest));

        Assert.Equal(code, refused.Error.Code);
        Assert.Contains(named, refused.Error.Message, StringComparison.Ordinal);
        Assert.All(refused.Error.Reasons, reason => Assert.NotEmpty(reason.Remedy));
        await AssertNothingMovedAsync();
    }

    [Fact]
    public async Task A_destination_without_room_and_template_is_refused_for_both()
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => _fleet.MigrateAsync(Fleet.Beta));

        Assert.Equal(ErrorCodes.Refused, refused.Error.Code);
        var reasons = refused.Error.Reasons;
        Assert.Contains(reasons, reason => reason.Code == "destination.memory"
            && reason.Message.Contains("64 MiB", StringComparison.Ordinal) && reason.Message.Contains(Fleet.Beta, StringComparison.Ordinal));
        Assert.Contains(reasons, reason => reason.Code == "destination.template"
            && reason.Message.Contains("'gpu'", StringComparison.Ordinal) && reason.Message.Contains(Fleet.Beta, StringComparison.Ordinal));
        Assert.All(reasons, reason => Assert.NotEmpty(reason.Remedy));
        await AssertNothingMovedAsync();
    }

    [Fact]
    public async Task A_spec_is_refused_for_everything_that_is_wrong_with_it()
    {
        var refused = await Assert.ThrowsAsync<ApiException>(() => _fleet.Client.StartGuestAsync("""
            { "host": "alpha", "spec": {
                "name": "odd", "memoryMiB": "much", "colour": "red",
                "vcpus": { "count": 1, "pattern": "hotset", "dirtyRateMiBps": 1 },
                "devices": [ { "name": "disk0", "template": "disk" } ] } }
            """, default));

        Assert.Equal(400, refused.HttpStatus);
        foreach (string wrong in (string[])["$.spec.memoryMiB is a string", "$.spec.colour is an unknown field", "template 'disk' is unknown"])
            Assert.Contains(refused.Error.Reasons, reason => reason.Message.Contains(wrong, StringComparison.Ordinal));
        Assert.Equal(3, refused.Error.Reasons.Count);
        await AssertNothingMovedAsync();
    }

    [Fact]
    public async Task A_node_is_refused_a_port_in_use()
    {
        int port = _fleet.Node(Fleet.Alpha).Address.Port;
        await AssertNotStartedAsync(1, $"127.0.0.1:{port}", "other", $"port {port} of 127.0.0.1 is in use");
    }

    [Fact]
    public async Task A_node_is_refused_a_data_directory_that_another_one_holds() =>
        await AssertNotStartedAsync(1, "127.0.0.1:0", Fleet.Alpha, "in use by another mc-node");

    [Fact]
    public async Task A_node_is_refused_a_data_directory_too_long_for_sockets() =>
        await AssertNotStartedAsync(2, "127.0.0.1:0", new string('d', 60), "bytes too long");

    [Theory]
    [InlineData("0.0.0.0:0")]
    [InlineData("192.0.2.1:7101")]
    public async Task A_node_listens_on_loopback_only(string address) =>
        await AssertNotStartedAsync(2, address, "other", $"'{address}'");

    private async Task AssertNotStartedAsync(int status, string listen, string dataDirectory, string reason)
    {
        var (ended, output) = await NodeProcess.RunToEndAsync(
            _fleet.PathOf($"refused-{Guid.NewGuid():n}.log"), [.. _fleet.Arguments(Fleet.Alpha, listen, dataDirectory), "--coordinator"]);

        Assert.Contains(reason, output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output, StringComparison.Ordinal);
        Assert.Equal(status, ended);
        await AssertNothingMovedAsync();
    }

    private async Task AssertNothingMovedAsync()
    {
        Assert.Empty(await _fleet.Client.ListMigrationsAsync(default));
        var guest = Assert.Single(await _fleet.Client.ListGuestsAsync(default));
        Assert.Equal((Fleet.Guest, 1UL), (guest.Name, guest.Epoch));
        await _fleet.AssertRunsAsync(Fleet.Alpha);
        Assert.Empty(_fleet.Files(Fleet.Beta).Leftovers());
    }

    /// <summary>Nothing moves in these tests, so they share a fleet, whose beta has little to offer.</summary>
    public sealed class Scanty : IAsyncLifetime
    {
        internal Fleet Fleet { get; private set; } = null!;

        public async Task InitializeAsync() => Fleet = await Fleet.StartAsync(
            betaConfiguration: """
                { "memoryMiB": 32, "templates": { "net": { "model": "net" }, "serial": { "model": "serial" } } }
                """,
            guest: Fleet.Spec());

        public async Task DisposeAsync() => await Fleet.DisposeAsync();
    }
}
