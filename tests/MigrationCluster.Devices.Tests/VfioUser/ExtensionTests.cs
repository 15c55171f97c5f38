using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

public sealed class ExtensionTests : IAsyncLifetime
{
    private static readonly GuestName Guest = GuestName.Parse("g1");
    private readonly SampleEndpoint _endpoint = new();
    private readonly ServerBench _bench;
    private MachineEndpointClient _client = null!;

    public ExtensionTests() => _bench = new ServerBench(_endpoint);

    public async Task InitializeAsync()
    {
        _client = await _bench.ConnectMachineAsync();
        await _client.BindAsync(Guest, FenceOf(5, 1), default);
    }

    public async Task DisposeAsync() => await _bench.DisposeAsync();

    [Fact]
    public async Task A_newer_session_pre_empts_an_older_one_which_is_told_so()
    {
        var newer = await _bench.ConnectMachineAsync();
        await newer.BindAsync(Guest, FenceOf(5, 2), default);
        foreach (var command in new Func<ValueTask>[]
        {
            () => _client.SetStateAsync(DeviceState.Stop, default),
            () => _client.AckDirtyAsync(1, default),
            () => _client.WriteStreamAsync(0, new byte[4], default),
            () => _client.WriteRegionAsync(0, 0, new byte[4], default),
            async () => await _client.CastVoteAsync(Vote.Verified, "d", default),
        })
        {
            var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await command());
            Assert.Equal(Errno.EPERM, refusal.Errno);
            Assert.Contains("(e5, t1) was pre-empted by (e5, t2)", refusal.Message, StringComparison.Ordinal);
        }
        await newer.SetStateAsync(DeviceState.Stop, default);
        await Refused(Errno.EPERM, () => _client.BindAsync(Guest, FenceOf(4, 9), default));
        await _client.BindAsync(Guest, FenceOf(6, 0), default);
        await Refused(Errno.EPERM, () => newer.SetStateAsync(DeviceState.Running, default));
        await _client.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task Sessions_of_one_fence_work_side_by_side()
    {
        var other = await _bench.ConnectMachineAsync();
        await other.BindAsync(Guest, FenceOf(5, 1), default);
        await other.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(DeviceState.Stop, await _client.GetStateAsync(default));
        await _client.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task A_session_that_is_not_bound_may_ask_but_change_nothing()
    {
        var unbound = await _bench.ConnectMachineAsync();
        Assert.Equal(FenceOf(5, 1), (await unbound.ReadFenceAsync(default)).Fence);
        Assert.Equal("gpu0", (await unbound.GetSetupRecordAsync(default)).Device);
        Assert.Equal(DeviceState.Running, await unbound.GetStateAsync(default));
        await Refused(Errno.EPERM, () => unbound.SetStateAsync(DeviceState.Stop, default));
        await Refused(Errno.EPERM, () => unbound.ResetAsync(default));
        await Refused(Errno.EPERM, () => unbound.ShutDownAsync(default));
        await Refused(Errno.EPERM, async () => await unbound.ReadDirtyAsync(new PageBitmap(8), default));
        await Refused(Errno.EPERM, () => unbound.BindAsync(GuestName.Parse("other"), FenceOf(9, 9), default));
        await _client.SetStateAsync(DeviceState.Stop, default);
    }

    [Fact]
    public async Task Disconnecting_leaves_everything_in_place()
    {
        await _client.SetStateAsync(DeviceState.PreCopy, default);
        await _client.WriteStreamAsync(0, new byte[100], default);
        await _client.DisposeAsync();
        var again = await _bench.ConnectMachineAsync();
        await again.BindAsync(Guest, FenceOf(5, 2), default);
        Assert.Equal(DeviceState.PreCopy, await again.GetStateAsync(default));
        await again.WriteStreamAsync(100, new byte[1], default);
        await Refused(Errno.EINVAL, () => again.WriteStreamAsync(500, new byte[1], default));
    }

    [Fact]
    public async Task Setup_records_travel_whole()
    {
        var record = await _client.GetSetupRecordAsync(default);
        Assert.Equivalent(SampleEndpoint.Setup, record, strict: true);
        var compatible = Assert.IsType<Compatible>(await _client.CheckSetupAsync(record, default));
        Assert.Equal((new CompatibilityRank(1, 2, 3), "statistics"), (compatible.Rank, Assert.Single(compatible.Dropped)));
        var other = record with { Descriptor = record.Descriptor with { Model = "net" } };
        var reason = Assert.Single(Assert.IsType<Incompatible>(await _client.CheckSetupAsync(other, default)).Reasons);
        Assert.Equal(("device.model", "net", "gpu"), (reason.Code, reason.Expected, reason.Actual));
    }

    [Fact]
    public async Task A_dirty_report_adds_pages_and_is_acknowledged_by_its_number()
    {
        _endpoint.Dirty.UnionWith([0, 63, 64, 99]);
        var pages = new PageBitmap(100) { [7] = true };
        ulong sequence = await _client.ReadDirtyAsync(pages, default);
        Assert.Equal([0, 7, 63, 64, 99], Enumerable.Range(0, 100).Where(page => pages[page]));
        await Refused(Errno.EINVAL, () => _client.AckDirtyAsync(sequence + 1, default));
        await _client.AckDirtyAsync(sequence, default);
        Assert.Equal(sequence, _endpoint.Acked);
        var none = new PageBitmap(100);
        await _client.ReadDirtyAsync(none, default);
        Assert.True(none.IsEmpty);
    }

    [Fact]
    public async Task A_stream_travels_in_large_pieces_both_ways()
    {
        using var read = new MemoryStream();
        byte[] buffer = new byte[5 << 20];
        for (int count; (count = await _client.ReadStreamAsync((ulong)read.Length, buffer, default)) > 0;)
            read.Write(buffer, 0, count);
        Assert.Equal(_endpoint.Stream, read.ToArray());

        await _client.WriteStreamAsync(0, _endpoint.Stream, default);
        Assert.Equal(_endpoint.Stream, _endpoint.Loaded.ToArray());
        Assert.Equal(new StreamDigest((ulong)_endpoint.Stream.Length, 0xdeadbeef), await _client.GetStreamDigestAsync(default));
    }

    [Fact]
    public async Task A_digest_that_a_device_cannot_tell_is_null()
    {
        Assert.Null(await _client.GetContentDigestAsync(default));
        await _client.WriteStreamAsync(0, new byte[1], default);
        Assert.Equal(0xfeedul, await _client.GetContentDigestAsync(default));
    }

    [Fact]
    public async Task Votes_and_their_refusals_travel_with_their_reasons()
    {
        var voted = await _client.CastVoteAsync(Vote.Verified, "digest-1", default);
        Assert.Equal(_endpoint.Record, voted);
        Assert.Equal(voted, await _client.ReadFenceAsync(default));
        var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await _client.CastVoteAsync(Vote.Yielded, null, default));
        Assert.Equal((Errno.EPERM, "only the owner can yield the guest"), (refusal.Errno, refusal.Message));
        Assert.True((await _client.CastVoteAsync(Vote.Permit, null, default)).Permitted);
    }

    [Fact]
    public async Task Memory_windows_deadline_and_shutdown_reach_the_machine()
    {
        var layout = await _client.GetMemoryLayoutAsync(default);
        Assert.Equal((await _endpoint.GetMemoryLayoutAsync(default)).Windows, layout.Windows);
        using (var memory = _client.MapRegion(1)) Assert.Equal(layout.Windows[0].SizeBytes, (ulong)memory.Length);
        await _client.SetPauseDeadlineAsync(TimeSpan.FromMilliseconds(1500), default);
        Assert.Equal(TimeSpan.FromMilliseconds(1500), _endpoint.Deadline);
        await _client.ThrottleVcpusAsync(40, TimeSpan.FromSeconds(15), default);
        Assert.Equal((40, TimeSpan.FromSeconds(15)), _endpoint.Throttle);
        await Assert.ThrowsAsync<DeviceRefusedException>(() => _client.ThrottleVcpusAsync(100, TimeSpan.FromSeconds(15), default).AsTask());
        await _client.IsolateDeviceAsync(new DeviceName("gpu0"), default);
        Assert.Equal(new DeviceName("gpu0"), _endpoint.Isolated);
        await _client.ShutDownAsync(default);
        Assert.True(_endpoint.IsShutDown);
    }

    [Fact]
    public async Task An_endpoint_client_refuses_a_plain_device_by_name()
    {
        await using var plain = new ServerBench();
        var refusal = await Assert.ThrowsAsync<DeviceRefusedException>(() => EndpointClient.ConnectAsync(plain.SocketPath));
        Assert.Contains("serves kind Device, and Endpoint is needed", refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Another_version_of_the_extension_is_told_ours_and_gets_a_plain_device()
    {
        var raw = _bench.ConnectRaw();
        byte[] hello = VersionMessage.Write(0, new VersionCapabilities(Extension: new ExtensionOffer(99, ServedKind.Device)));
        var (_, body) = await raw.AskAsync(VfioUserCommand.Version, hello);
        Assert.True(VersionMessage.TryRead(body, out _, out var server, out _));
        Assert.Equal(new ExtensionOffer(ExtensionOffer.CurrentVersion, ServedKind.Machine), server.Extension);
        var (refused, _) = await raw.AskAsync((VfioUserCommand)ExtensionCommand.ReadFence, []);
        Assert.True(refused.IsError);
    }

    private static Fence FenceOf(ulong epoch, ulong term) => new(new Epoch(epoch), new Term(term));

    private static async Task Refused(int errno, Func<ValueTask> command) =>
        Assert.Equal(errno, (await Assert.ThrowsAsync<DeviceRefusedException>(async () => await command())).Errno);
}
