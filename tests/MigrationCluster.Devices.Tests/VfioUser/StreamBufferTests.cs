using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioUser;

public sealed class StreamBufferTests : IAsyncLifetime
{
    private readonly SampleEndpoint _endpoint = new();
    private readonly ServerBench _bench;

    public StreamBufferTests() => _bench = new ServerBench(_endpoint);

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _bench.DisposeAsync();

    [Fact]
    public async Task A_stream_passes_through_memory_that_both_sides_map()
    {
        var client = await BindAsync();
        var buffer = StreamBuffer.Create(1 << 20);
        var part = buffer.Memory.Slice(4567, 123_457);
        using var read = new MemoryStream();
        for (int count; (count = await client.ReadStreamAsync((ulong)read.Length, part, default)) > 0;) read.Write(part.Span[..count]);
        for (int at = 0; at < _endpoint.Stream.Length; at += part.Length)
        {
            var chunk = part[..Math.Min(part.Length, _endpoint.Stream.Length - at)];
            _endpoint.Stream.AsSpan(at, chunk.Length).CopyTo(chunk.Span);
            await client.WriteStreamAsync((ulong)at, chunk, default);
        }

        Assert.True(client.HasStreamBuffer);
        Assert.Equal(_endpoint.Stream, read.ToArray());
        Assert.Equal(_endpoint.Stream, _endpoint.Loaded.ToArray());
    }

    [Fact]
    public async Task Memory_that_is_in_no_buffer_goes_behind_the_messages_also_where_a_buffer_is_shared()
    {
        var client = await BindAsync();
        await client.ReadStreamAsync(0, StreamBuffer.Create(4096).Memory, default);
        byte[] part = new byte[1000];
        Assert.Equal(1000, await client.ReadStreamAsync(500, part, default));
        await client.WriteStreamAsync(0, _endpoint.Stream.AsMemory(0, 1000), default);
        Assert.Equal(_endpoint.Stream[500..1500], part);
        Assert.Equal(_endpoint.Stream[..1000], _endpoint.Loaded.ToArray());
    }

    [Fact]
    public async Task A_stream_is_read_ahead_to_its_end_and_another_buffer_takes_the_place_of_the_first()
    {
        var client = await BindAsync();
        for (int round = 0; round < 2; round++)
        {
            using var read = new MemoryStream();
            await using var reading = new StreamReading(client, 0, StreamBuffer.Create(StreamReading.BufferBytes), default);
            while (await reading.NextAsync() is { Data.IsEmpty: false } chunk)
            {
                Assert.Equal((ulong)read.Length, chunk.Offset);
                read.Write(chunk.Data.Span);
                await reading.ReleaseAsync(chunk.Offset);
            }
            Assert.Equal(_endpoint.Stream, read.ToArray());
        }
    }

    [Fact]
    public async Task What_is_under_way_at_one_time_lies_in_one_buffer()
    {
        var client = await BindAsync();
        var buffer = StreamBuffer.Create(4096);
        await client.ReadStreamAsync(0, buffer.Memory, default);
        var goOn = new TaskCompletionSource();
        _endpoint.ReadsGoOn = goOn.Task;
        var reading = client.ReadStreamAsync(0, buffer.Memory, default).AsTask();
        await Assert.ThrowsAsync<InvalidOperationException>(
            async () => await client.ReadStreamAsync(0, StreamBuffer.Create(4096).Memory, default));
        goOn.SetResult();
        Assert.Equal(4096, await reading);
    }

    [Fact]
    public async Task There_is_nothing_to_go_on_from_before_the_first_read()
    {
        var client = await BindAsync();
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await client.ReadStreamOnAsync(new byte[1], default));
        Assert.Equal(Errno.EINVAL, refused.Errno);
    }

    [Fact]
    public async Task A_client_that_shares_none_gets_the_bytes_behind_the_messages()
    {
        var peer = await OpenAsync();
        byte[] request = new byte[StreamRange.Size];
        new StreamRange(7, 5).Write(request);

        var (header, body) = await peer.AskAsync((VfioUserCommand)ExtensionCommand.ReadStream, request);
        Assert.False(header.IsError);
        Assert.Equal(_endpoint.Stream[7..12], body[StreamRange.Size..]);
    }

    [Fact]
    public async Task A_place_that_is_not_in_the_shared_buffer_is_refused_and_so_are_bytes_behind_a_message_that_names_one()
    {
        var peer = await OpenAsync();
        await RefusesWriteAsync(StreamRange.At(0, 1, place: 0)); // none is shared yet
        using var file = Memfd.Create("buffer", 4096, keepsSize: true);
        Assert.False((await peer.AskAsync((VfioUserCommand)ExtensionCommand.ShareStreamBuffer, [], file)).Header.IsError);
        await RefusesWriteAsync(StreamRange.At(0, 1, place: 4096));
        await RefusesWriteAsync(StreamRange.At(0, 4097, place: 0));
        await RefusesWriteAsync(new StreamRange(0, 1, uint.MaxValue));
        await RefusesWriteAsync(new StreamRange(0, uint.MaxValue, 2));
        await RefusesWriteAsync(StreamRange.At(0, 1, place: 0), behind: 1);
        await RefusesWriteAsync(StreamRange.At(0, 2, place: null), behind: 1);
        Assert.Equal(0, _endpoint.Loaded.Length);

        async Task RefusesWriteAsync(StreamRange range, int behind = 0)
        {
            byte[] request = new byte[StreamRange.Size + behind];
            range.Write(request);
            var (header, _) = await peer.AskAsync((VfioUserCommand)ExtensionCommand.WriteStream, request);
            Assert.Equal((uint)Errno.EINVAL, header.Errno);
        }
    }

    [Fact]
    public async Task A_buffer_that_could_shrink_under_the_server_is_refused_and_so_is_one_too_long_or_empty_or_none()
    {
        var peer = await OpenAsync();
        using var shrinks = Memfd.Create("shrinks", 4096);
        using var tooLong = Memfd.Create("long", StreamBuffer.MaxBytes + 4096, keepsSize: true);
        using var empty = Memfd.Create("empty", 0, keepsSize: true);
        foreach (var files in new[] { [shrinks], [tooLong], [empty], Array.Empty<Microsoft.Win32.SafeHandles.SafeFileHandle>() })
        {
            var (header, _) = await peer.AskAsync((VfioUserCommand)ExtensionCommand.ShareStreamBuffer, [], files);
            Assert.Equal((uint)Errno.EINVAL, header.Errno);
        }
    }

    private async Task<EndpointClient> BindAsync()
    {
        var client = await _bench.ConnectMachineAsync();
        await client.BindAsync(GuestName.Parse("g1"), new Fence(new Epoch(5), new Term(1)), default);
        return client;
    }

    /// <summary>A bound session that says every byte itself.</summary>
    private async Task<RawPeer> OpenAsync()
    {
        var peer = _bench.ConnectRaw();
        await peer.AskAsync(VfioUserCommand.Version, VersionMessage.Write(VersionMessage.Minor, new VersionCapabilities(
            Extension: new ExtensionOffer(ExtensionOffer.CurrentVersion, ServedKind.Device))));
        var bind = new BindRequest(GuestName.Parse("g1"), new Fence(new Epoch(5), new Term(1))).ToArray();
        Assert.False((await peer.AskAsync((VfioUserCommand)ExtensionCommand.Bind, bind)).Header.IsError);
        return peer;
    }
}
