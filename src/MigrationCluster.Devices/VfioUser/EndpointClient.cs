using System.Buffers;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>One device's endpoint of a guest process (docs/vfio-user-extension.md). A refusal's message is the reason that
/// the guest process gave.</summary>
public class EndpointClient : VfioUserClient, IMigrationEndpoint
{
    private protected EndpointClient(string path, VfioUserClientOptions? options) : base(path, options)
    {
    }

    /// <exception cref="ArgumentException">the path is too long for a UNIX socket.</exception>
    /// <exception cref="DeviceLostException">nobody listens there, or no answer in time.</exception>
    /// <exception cref="DeviceRefusedException">no endpoint, or another version; names the side to upgrade.</exception>
    public static new Task<EndpointClient> ConnectAsync(
        string path, VfioUserClientOptions? options = null, CancellationToken cancellationToken = default) =>
        OpenAsync(new EndpointClient(path, options), ServedKind.Endpoint, cancellationToken);

    public async ValueTask BindAsync(GuestName guest, Fence fence, CancellationToken cancellationToken) =>
        await SendAsync(ExtensionCommand.Bind, new BindRequest(guest, fence).ToArray(), default, cancellationToken);

    public async ValueTask<SetupRecord> GetSetupRecordAsync(CancellationToken cancellationToken)
    {
        byte[] json = await FetchAsync(ExtensionCommand.GetSetupRecord, default, cancellationToken);
        return Parse(() => SetupJson.ReadRecord(json));
    }

    public async ValueTask<Verdict> CheckSetupAsync(SetupRecord source, CancellationToken cancellationToken)
    {
        byte[] json = await FetchAsync(ExtensionCommand.CheckSetup, SetupJson.Write(source), cancellationToken);
        return Parse(() => SetupJson.ReadVerdict(json));
    }

    public async ValueTask<ulong> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken)
    {
        byte[] request = Number((ulong)pages.PageCount);
        byte[] head = new byte[DirtyPagesHead.Size];
        int bytes = pages.Bytes.Length;
        byte[] bitmap = ArrayPool<byte>.Shared.Rent(Math.Max(bytes, 1));
        try
        {
            var reply = await AskAsync(
                (ushort)ExtensionCommand.ReadDirty, request, default, head, bitmap.AsMemory(0, bytes), cancellationToken);
            if (!DirtyPagesHead.TryRead(head, out var report) || report.PageCount != (ulong)pages.PageCount
                || reply.DataBytes != bytes)
                throw Broken($"reported {report.PageCount} pages in {reply.DataBytes} bytes instead of {pages.PageCount}");
            AddPages(bitmap.AsSpan(0, bytes), pages);
            return report.Sequence;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(bitmap);
        }
    }

    public ValueTask AckDirtyAsync(ulong sequence, CancellationToken cancellationToken) =>
        SendAsync(ExtensionCommand.AckDirty, Number(sequence), default, cancellationToken);

    public async ValueTask<int> ReadStreamAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var (at, bytes) = await ReadAsync(offset, buffer, cancellationToken);
        return at == offset ? bytes : throw Broken($"answered a stream read at {offset} with {bytes} bytes at {at}");
    }

    /// <summary>Goes on where the last read of this connection ended, also while that is still under way: so a device has its next command
    /// when it has done one, however long the reader takes.</summary>
    /// <returns>the stream offset, and bytes read; see <see cref="IMigrationEndpoint.ReadStreamAsync"/>.</returns>
    /// <exception cref="DeviceRefusedException">EINVAL: nothing was read before, or a guest process of an earlier release.</exception>
    public ValueTask<(ulong Offset, int Bytes)> ReadStreamOnAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        ReadAsync(StreamRange.Next, buffer, cancellationToken);

    private async ValueTask<(ulong Offset, int Bytes)> ReadAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        buffer = buffer[..Math.Min(buffer.Length, MaxReadBytes)];
        int? place = await EnterBufferAsync(buffer, cancellationToken);
        try
        {
            return await ReadRangeAsync(ExtensionCommand.ReadStream, offset, buffer, place, cancellationToken);
        }
        finally
        {
            LeaveBuffer(place);
        }
    }

    public ValueTask AckStreamAsync(ulong offset, CancellationToken cancellationToken) =>
        SendAsync(ExtensionCommand.AckStream, Number(offset), default, cancellationToken);

    public async ValueTask WriteStreamAsync(ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (data.Length > 0)
        {
            var part = data[..Math.Min(data.Length, MaxWriteBytes)];
            int? place = await EnterBufferAsync(part, cancellationToken);
            try
            {
                await WriteRangeAsync(ExtensionCommand.WriteStream, offset, part, place, cancellationToken);
            }
            finally
            {
                LeaveBuffer(place);
            }
            data = data[part.Length..];
            offset += (ulong)part.Length;
        }
    }

    public async ValueTask<StreamDigest> GetStreamDigestAsync(CancellationToken cancellationToken)
    {
        byte[] reply = new byte[StreamDigestMessage.Size];
        await AskAsync((ushort)ExtensionCommand.GetStreamDigest, default, default, reply, default, cancellationToken);
        StreamDigestMessage.TryRead(reply, out var digest);
        return new StreamDigest(digest.Bytes, digest.Crc32C);
    }

    public async ValueTask<ulong?> GetContentDigestAsync(CancellationToken cancellationToken)
    {
        byte[] reply = new byte[OptionalNumbers.Size];
        await AskAsync((ushort)ExtensionCommand.GetContentDigest, default, default, reply, default, cancellationToken);
        if (!OptionalNumbers.TryRead(reply, out var digest)) throw Broken("sends a malformed content digest");
        return digest.Known ? digest.First : null;
    }

    private protected async ValueTask SendAsync(
        ExtensionCommand command, ReadOnlyMemory<byte> head, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        await AskAsync((ushort)command, head, data, default, default, cancellationToken);

    private protected static byte[] Number(ulong value)
    {
        byte[] body = new byte[ExtensionNumber.Size];
        new ExtensionNumber(value).Write(body);
        return body;
    }

    private static void AddPages(ReadOnlySpan<byte> from, PageBitmap pages)
    {
        var to = pages.Bytes;
        for (int i = 0; i < from.Length; i++) to[i] |= from[i];
    }
}
