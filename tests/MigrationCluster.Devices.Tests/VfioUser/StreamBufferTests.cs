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
        var client = await _bench.ConnectMachineAsync();
        await client.BindAsync(GuestName.Parse("g1"), new Fence(new Epoch(5), new Term(1)), default);
        byte[] part = new byte[123_457];
        using var read = new MemoryStream();
        for (int count; (count = await client.ReadStreamAsync((ulong)read.Length, part, default)) > 0;) read.Write(part.AsSpan(0, count));
        await client.WriteStreamAsync(0, _endpoint.Stream, default);

        Assert.True(client.HasStreamBuffer);
        Assert.Equal(_endpoint.Stream, read.ToArray());
        Assert.Equal(_endpoint.Stream, _endpoint.Loaded.ToArray());
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
    public async Task Bytes_behind_a_message_are_refused_once_a_buffer_is_shared_and_so_is_more_than_it_holds()
    {
        var peer = await OpenAsync();
        using var file = Memfd.Create("buffer", StreamBuffer.SizeBytes, keepsSize: true);
        Assert.False((await peer.AskAsync((VfioUserCommand)ExtensionCommand.ShareStreamBuffer, [], file)).Header.IsError);
        foreach (uint size in new uint[] { 1, StreamBuffer.SizeBytes + 1, uint.MaxValue })
        {
            byte[] request = new byte[StreamRange.Size + (size == 1 ? 1 : 0)];
            new StreamRange(0, size).Write(request);
            var (header, _) = await peer.AskAsync((VfioUserCommand)ExtensionCommand.WriteStream, request);
            Assert.Equal((uint)Errno.EINVAL, header.Errno);
        }
        Assert.Equal(0, _endpoint.Loaded.Length);
    }

    [Fact]
    public async Task A_buffer_that_could_shrink_under_the_server_or_is_too_short_is_refused_and_so_is_none()
    {
        var peer = await OpenAsync();
        using var shrinks = Memfd.Create("shrinks", StreamBuffer.SizeBytes);
        using var tooShort = Memfd.Create("short", StreamBuffer.SizeBytes - 4096, keepsSize: true);
        foreach (var files in new[] { [shrinks], [tooShort], Array.Empty<Microsoft.Win32.SafeHandles.SafeFileHandle>() })
        {
            var (header, _) = await peer.AskAsync((VfioUserCommand)ExtensionCommand.ShareStreamBuffer, [], files);
            Assert.Equal((uint)Errno.EINVAL, header.Errno);
        }
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
