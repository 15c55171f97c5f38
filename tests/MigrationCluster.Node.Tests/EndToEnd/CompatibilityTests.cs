using MigrationCluster.Api;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Three hosts that differ: what is refused is refused before anything moves, what fits goes on as it was.</summary>
[Collection(EndToEndTest.Name)]
public sealed class CompatibilityTests : IAsyncLifetime
{
    private const string Gpu = """ "gpu": { "model": "gpu", "parameters": { "memory-mib": "16" } } """;
    private const string Version1 = $$"""{ "memoryMiB": 256, "templates": { "net": { "model": "net", "version": "1" }, {{Gpu}} } }""";
    private const string Version2 = $$"""{ "memoryMiB": 256, "templates": { "net": { "model": "net", "version": "2" }, {{Gpu}} } }""";

    /// <summary>No room, no gpu, and what is called net there is something else.</summary>
    private const string Odd = """{ "memoryMiB": 32, "templates": { "net": { "model": "serial" } } }""";

    private Fleet _fleet = null!;

    public async Task InitializeAsync() => _fleet = await Fleet.StartAsync(
        alphaConfiguration: Version1, betaConfiguration: Version2, gammaConfiguration: Odd,
        guest: new GuestSpec(
            Fleet.Guest, 64, new VcpuSpec(1, "hotset", 4),
            [new DeviceSpec("net0", "net", ["gpu0"]), new DeviceSpec("gpu0", "gpu"), new DeviceSpec("net1", "net")]));

    public async Task DisposeAsync() => await _fleet.DisposeAsync();

    [Fact]
    public async Task Planning_refuses_for_every_reason_of_every_device_at_once_and_nothing_moves()
    {
        var refused = (await Assert.ThrowsAsync<ApiException>(() => _fleet.MigrateAsync(Fleet.Gamma))).Error;
        var check = await _fleet.Client.CheckCompatAsync(Fleet.Guest, Fleet.Gamma, default);

        Assert.Equal(ErrorCodes.Refused, refused.Code);
        foreach (var reasons in (IReadOnlyList<Reason>[])[refused.Reasons, check.Reasons])
        {
            Assert.Contains(reasons, reason => reason.Code == "destination.memory");
            Assert.Contains(reasons, reason => reason is { Code: "destination.template", Device: "gpu0", Side: ReasonSides.Destination });
            foreach (string device in (string[])["net0", "net1"])
                Assert.Contains(reasons, reason => reason.Device == device && reason.Code == "device.model-mismatch"
                    && reason is { Expected: "net", Actual: "serial" });
            Assert.All(reasons, reason => Assert.NotEmpty(reason.Remedy));
        }

        Assert.Equal(Verdicts.Incompatible, check.Verdict);
        Assert.Empty(await _fleet.Client.ListMigrationsAsync(default));
        Assert.Equal(1UL, (await _fleet.Client.GetGuestAsync(Fleet.Guest, default)).Epoch);
        await _fleet.AssertRunsAsync(Fleet.Alpha);
    }

    /// <summary>004_1f973f60d845ba13.txt: "The new device is instantiated with version=1 … the device is still operating at version=1 level
    /// in the new device", and such a device goes back to the older implementation.</summary>
    [Fact]
    public async Task Without_a_host_named_the_one_that_fits_is_found_and_the_guest_goes_on_at_its_own_version_and_back()
    {
        var before = await ParametersAsync(Fleet.Alpha, "net0");

        var there = await _fleet.AssertMovesAsync(Fleet.Beta, search: true);

        Assert.Equal(before, await ParametersAsync(Fleet.Beta, "net0"));
        var other = Assert.Single(there.Plan!.PassedOver);
        Assert.Equal((Fleet.Gamma, null), (other.Host, other.Rank));
        Assert.Contains(other.Reasons, reason => reason.Code == "device.model-mismatch");
        Assert.Empty(there.Plan.NoWayBack);

        await _fleet.AssertMovesAsync(Fleet.Alpha, search: true);
        Assert.Equal(before, await ParametersAsync(Fleet.Alpha, "net0"));
    }

    [Fact]
    public async Task Operators_see_what_can_move_where_and_by_which_configuration()
    {
        var net = (await _fleet.Client.GetCompatMatrixAsync("net", default))[0];
        var every = await _fleet.Client.GetCompatMatrixAsync(null, default);
        var baseline = await _fleet.Client.GetCompatBaselineAsync("net", 2, default);
        var explained = await _fleet.Client.ExplainCompatAsync($"{Fleet.Guest}/net0", Fleet.Beta, default);
        var unknown = await Assert.ThrowsAsync<ApiException>(() => _fleet.Client.GetCompatMatrixAsync("tape", default));

        Assert.Equal([Fleet.Alpha, Fleet.Beta, Fleet.Gamma], net.Hosts.Select(host => host.Host));
        Assert.Equal((Verdicts.Compatible, Verdicts.Compatible), (net.Verdicts[0][1], net.Verdicts[1][0]));
        Assert.Equal((Verdicts.Incompatible, Verdicts.Incompatible), (net.Verdicts[0][2], net.Verdicts[2][1]));
        Assert.Equal([Fleet.Alpha, Fleet.Beta], net.Islands[0].Hosts);
        Assert.Superset(new HashSet<string> { "gpu", "net" }, every.Select(view => view.Class).ToHashSet());
        Assert.True(baseline.Reached);
        Assert.Equal([Fleet.Alpha, Fleet.Beta], baseline.Hosts.Order());
        Assert.Equal(Verdicts.Compatible, explained.Device.Verdict);
        Assert.Contains(explained.Rows, row => row is { What: "model", Source: "net", Destination: "net" });
        Assert.Equal(ErrorCodes.ClassUnknown, unknown.Error.Code);
        Assert.Contains("gpu", unknown.Error.Reasons[0].Remedy, StringComparison.Ordinal);
    }

    /// <summary>What the real device is configured with.</summary>
    private async Task<IReadOnlyList<string>> ParametersAsync(string host, string device)
    {
        await using var endpoint = await EndpointClient.ConnectAsync(
            _fleet.Files(host).PathOf(GuestFiles.Endpoint(new DeviceName(device))));
        var record = await endpoint.GetSetupRecordAsync(default);
        Assert.NotEmpty(record.Descriptor.Parameters);
        return [.. record.Descriptor.Parameters.Select(parameter => $"{parameter.Name}={parameter.Value}").Order()];
    }
}
