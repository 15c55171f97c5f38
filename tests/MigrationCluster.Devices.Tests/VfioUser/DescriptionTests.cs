using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

/// <summary>What a device says it is, through our extension and without it.</summary>
public sealed class DescriptionTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("mc-").FullName;
    private readonly EmulatedDevice _net = DeviceModels.Create("net", new Dictionary<string, string> { ["queues"] = "2" });
    private readonly List<IAsyncDisposable> _opened = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var opened in Enumerable.Reverse(_opened)) await opened.DisposeAsync();
        await _net.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task A_device_s_own_descriptor_travels_whole()
    {
        var client = await ConnectAsync(extension: true);
        Assert.Equivalent(await _net.DescribeAsync(default), await client.DescribeAsync(default), strict: true);
        Assert.Equivalent(
            await _net.DescribeAsync(default), await client.CollectDescriptorAsync(MigrationCapabilities.None, default), strict: true);
    }

    [Fact]
    public async Task The_device_itself_accepts_or_refuses_a_version_string()
    {
        var client = await ConnectAsync(extension: true);
        await client.CheckVersionAsync((await _net.DescribeAsync(default)).VersionString!, default);
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await client.CheckVersionAsync("00021d55-net/1:queues=8:setup,registers", default));
        Assert.Equal(Errno.EINVAL, refused.Errno);
        Assert.Contains("queues is 8 there and 2 here", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_version_string_of_more_than_a_page_is_refused()
    {
        var client = await ConnectAsync(extension: true);
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await client.CheckVersionAsync(new string('x', 4096), default));
        Assert.Equal(Errno.EINVAL, refused.Errno);
        // The conversation goes on.
        Assert.Equal(DeviceState.Running, await client.GetStateAsync(default));
    }

    [Fact]
    public async Task A_server_without_the_extension_still_yields_identity_shape_and_capabilities()
    {
        var client = await ConnectAsync(extension: false);
        Assert.False(client.SpeaksExtension);
        var capabilities = await client.ProbeMigrationAsync(default);
        var descriptor = await client.CollectDescriptorAsync(capabilities, default);
        var own = await _net.DescribeAsync(default);

        Assert.Equal(own.Identity, descriptor.Identity);
        Assert.Equal(own.Regions, descriptor.Regions);
        Assert.Equal([new InterruptDescriptor(2, 2)], descriptor.Interrupts);
        Assert.Equal(own.ConfigCapabilities, descriptor.ConfigCapabilities);
        Assert.Equal(own.Capabilities, descriptor.Capabilities);
        Assert.Null(descriptor.Model);
        Assert.Null(descriptor.VersionString);
        Assert.Empty(descriptor.Parameters);
        Assert.IsType<Unknown>(HandlerChain.Default.Judge(new Candidate(descriptor, descriptor)).Verdict);
    }

    [Fact]
    public async Task A_server_without_the_extension_answers_no_version_string()
    {
        var client = await ConnectAsync(extension: false);
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await client.CheckVersionAsync("x", default));
        Assert.Equal(Errno.EOPNOTSUPP, refused.Errno);
    }

    [Fact]
    public async Task A_device_of_ours_that_describes_nothing_is_described_by_its_shape()
    {
        await using var bench = new ServerBench();
        var client = await bench.ConnectAsync();
        var descriptor = await client.CollectDescriptorAsync(ServerBench.All, default);
        Assert.Null(descriptor.Model);
        Assert.NotEmpty(descriptor.Regions);
    }

    private async Task<VfioUserClient> ConnectAsync(bool extension)
    {
        var server = VfioUserServer.Start(Path.Combine(_directory, "d.sock"), _net, extension: extension);
        _opened.Add(server);
        var client = await VfioUserClient.ConnectAsync(server.SocketPath);
        _opened.Add(client);
        return client;
    }
}
