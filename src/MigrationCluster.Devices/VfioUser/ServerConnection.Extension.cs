using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>The commands of our extension (docs/vfio-user-extension.md).</summary>
internal sealed partial class ServerConnection
{
    /// <summary>Pages of 4 KiB in 1 TiB of guest RAM.</summary>
    private const ulong MaxPages = MaxBitmapBytes * 8UL;

    /// <summary>As a sysfs attribute: a page, less the terminator.</summary>
    private const int MaxVersionBytes = 4095;

    /// <summary>Kept between reports, so that a large guest's bitmap is not made anew for each.</summary>
    private PageBitmap? _pages;

    private IMigrationEndpoint Endpoint =>
        _served.Endpoint ?? throw Refuse(Errno.EOPNOTSUPP, "this is a plain device, no endpoint of a guest process");

    private IMachineEndpoint Machine =>
        _served.Machine ?? throw Refuse(Errno.EOPNOTSUPP, "this is a device's endpoint, not the machine's");

    private IDescribedDevice Described =>
        _served.Described ?? throw Refuse(Errno.EOPNOTSUPP, "this device does not describe itself");

    private async ValueTask ExecuteExtensionAsync(ExtensionCommand command, ReadOnlyMemory<byte> body, SafeFileHandle?[] files)
    {
        var none = CancellationToken.None;
        switch (command)
        {
            case ExtensionCommand.Bind:
                await BindAsync(body);
                break;
            case ExtensionCommand.GetSetupRecord:
                Reply(SetupJson.Write(await Endpoint.GetSetupRecordAsync(none)));
                break;
            case ExtensionCommand.CheckSetup:
                await CheckSetupAsync(body);
                break;
            case ExtensionCommand.ReadDirty:
                await ReadDirtyAsync(body);
                break;
            case ExtensionCommand.AckDirty:
                await Endpoint.AckDirtyAsync(Number(body), none);
                break;
            case ExtensionCommand.ReadStream:
                await ReadStreamAsync(body);
                break;
            case ExtensionCommand.AckStream:
                await Endpoint.AckStreamAsync(Number(body), none);
                break;
            case ExtensionCommand.WriteStream:
                await WriteStreamAsync(body);
                break;
            case ExtensionCommand.GetStreamDigest:
                var digest = await Endpoint.GetStreamDigestAsync(none);
                new StreamDigestMessage(digest.Bytes, digest.Crc32C).Write(Body(StreamDigestMessage.Size));
                break;
            case ExtensionCommand.GetContentDigest:
                ulong? content = await Endpoint.GetContentDigestAsync(none);
                new OptionalNumbers(content is not null, content ?? 0, 0).Write(Body(OptionalNumbers.Size));
                break;
            case ExtensionCommand.GetPreCopyBytes:
                var left = await _served.Device.GetPreCopyBytesAsync(none);
                new OptionalNumbers(left is not null, left?.InitialBytes ?? 0, left?.DirtyBytes ?? 0)
                    .Write(Body(OptionalNumbers.Size));
                break;
            case ExtensionCommand.Describe:
                Reply(SetupJson.Write(await Described.DescribeAsync(none)));
                break;
            case ExtensionCommand.CheckVersion:
                await CheckVersionAsync(body);
                break;
            case ExtensionCommand.ShareStreamBuffer:
                ShareStreamBuffer(files);
                break;
            case ExtensionCommand.ReadData:
                await ReadDataAsync(body);
                break;
            case ExtensionCommand.WriteData:
                await WriteDataAsync(body);
                break;
            case ExtensionCommand.GetMemoryLayout:
                Reply(MemoryLayoutMessage.ToArray(await Machine.GetMemoryLayoutAsync(none)));
                break;
            case ExtensionCommand.ReadFence:
                Reply(FenceRecordMessage.ToArray(await Machine.ReadFenceAsync(none)));
                break;
            case ExtensionCommand.CastVote:
                if (!CastVoteRequest.TryRead(body.Span, out var vote)) throw Malformed("CAST_VOTE");
                Reply(FenceRecordMessage.ToArray(await Machine.CastVoteAsync(vote.Vote, vote.Digest, none)));
                break;
            case ExtensionCommand.SetPauseDeadline:
                ulong microseconds = Number(body);
                if (microseconds > (ulong)TimeSpan.FromDays(1).TotalMicroseconds) throw Malformed("SET_PAUSE_DEADLINE");
                await Machine.SetPauseDeadlineAsync(TimeSpan.FromMicroseconds(microseconds), none);
                break;
            case ExtensionCommand.ThrottleVcpus:
                if (!ThrottleRequest.TryRead(body.Span, out var throttle)) throw Malformed("THROTTLE_VCPUS");
                await Machine.ThrottleVcpusAsync(throttle.Percent, throttle.Lease, none);
                break;
            case ExtensionCommand.IsolateDevice:
                await Machine.IsolateDeviceAsync(Device(body), none);
                break;
            case ExtensionCommand.ShutDown:
                await Machine.ShutDownAsync(none);
                break;
            default:
                throw Refuse(Errno.EINVAL, $"unknown command {(ushort)command}");
        }
    }

    private async Task BindAsync(ReadOnlyMemory<byte> body)
    {
        if (!BindRequest.TryRead(body.Span, out var request)) throw Malformed("BIND");
        if (_served.Newest is { } newest && request.Fence < newest)
            throw Refuse(Errno.EPERM, $"session {request.Fence} is older than {newest}, which is bound here");
        await Endpoint.BindAsync(request.Guest, request.Fence, CancellationToken.None);
        _served.Raise(request.Fence);
        _fence = request.Fence;
    }

    private async Task CheckSetupAsync(ReadOnlyMemory<byte> body)
    {
        try
        {
            Reply(SetupJson.Write(await Endpoint.CheckSetupAsync(SetupJson.ReadRecord(body.Span), CancellationToken.None)));
        }
        catch (JsonException e)
        {
            throw Refuse(Errno.EINVAL, $"malformed setup record: {e.Message}");
        }
    }

    private async Task CheckVersionAsync(ReadOnlyMemory<byte> body)
    {
        if (body.Length > MaxVersionBytes || !Utf8.IsValid(body.Span)) throw Malformed("CHECK_VERSION");
        await Described.CheckVersionAsync(Encoding.UTF8.GetString(body.Span), CancellationToken.None);
    }

    private async Task ReadDirtyAsync(ReadOnlyMemory<byte> body)
    {
        ulong count = Number(body);
        if (count > MaxPages) throw Refuse(Errno.EINVAL, $"a report of {count} pages");
        if (_pages?.PageCount == (long)count) _pages.Clear();
        else _pages = new PageBitmap((long)count);
        ulong sequence = await Endpoint.ReadDirtyAsync(_pages, CancellationToken.None);
        var reply = Body(DirtyPagesHead.Size + _pages.Bytes.Length);
        new DirtyPagesHead(sequence, count).Write(reply);
        _pages.Bytes.CopyTo(reply[DirtyPagesHead.Size..]);
    }

    /// <summary>From here on this connection's commands may name places in it, and in none before it.</summary>
    private void ShareStreamBuffer(SafeFileHandle?[] files)
    {
        if (files is not [{ } file]) throw Malformed("SHARE_STREAM_BUFFER");
        files[0] = null; // the buffer's, from here on
        _streamBuffer = StreamBuffer.Map(file);
    }

    /// <summary>Where a stream's bytes for the client go: to their place in the shared buffer, or behind the reply's head.</summary>
    private Memory<byte> StreamRoom(string command, ReadOnlyMemory<byte> body, out StreamRange range)
    {
        if (!StreamRange.TryRead(body.Span, out range) || range.SizeBytes > MaxTransferBytes) throw Malformed(command);
        if (range.Place is { } place) return InBuffer(place, range.SizeBytes);
        Reserve(StreamRange.Size + (int)range.SizeBytes);
        return _reply.AsMemory(StreamRange.Size, (int)range.SizeBytes);
    }

    /// <summary>A stream's bytes from the client.</summary>
    private ReadOnlyMemory<byte> StreamBytes(string command, ReadOnlyMemory<byte> body, out StreamRange range)
    {
        if (!StreamRange.TryRead(body.Span, out range) || range.SizeBytes > MaxTransferBytes) throw Malformed(command);
        var behind = body[StreamRange.Size..];
        if (behind.Length != (range.Place is null ? range.SizeBytes : 0)) throw Malformed(command);
        return range.Place is { } place ? InBuffer(place, range.SizeBytes) : behind;
    }

    private Memory<byte> InBuffer(uint place, uint size) =>
        _streamBuffer is { } shared && place <= shared.Memory.Length && size <= shared.Memory.Length - place
            ? shared.Memory.Slice((int)place, (int)size)
            : throw Refuse(Errno.EINVAL, $"{size} bytes at {place} do not lie in the buffer shared here");

    private void ReplyRange(StreamRange range, int read) =>
        (range with { SizeBytes = (uint)read }).Write(Body(StreamRange.Size + (range.Place is null ? read : 0)));

    private async Task ReadDataAsync(ReadOnlyMemory<byte> body)
    {
        var room = StreamRoom("READ_DATA", body, out var range);
        await RequireAsync(DeviceAction.DataRead);
        ReplyRange(range, await _served.Device.ReadDataAsync(room, CancellationToken.None));
    }

    private async Task WriteDataAsync(ReadOnlyMemory<byte> body)
    {
        var data = StreamBytes("WRITE_DATA", body, out _);
        await RequireAsync(DeviceAction.DataWrite);
        await _served.Device.WriteDataAsync(data, CancellationToken.None);
    }

    private async Task ReadStreamAsync(ReadOnlyMemory<byte> body)
    {
        var room = StreamRoom("READ_STREAM", body, out var range);
        if (range.Offset == StreamRange.Next)
            range = range with { Offset = _streamAt ?? throw Refuse(Errno.EINVAL, "no read of this connection to go on from") };
        int read = await Endpoint.ReadStreamAsync(range.Offset, room, CancellationToken.None);
        _streamAt = range.Offset + (ulong)read;
        ReplyRange(range, read);
    }

    private async Task WriteStreamAsync(ReadOnlyMemory<byte> body)
    {
        var data = StreamBytes("WRITE_STREAM", body, out var range);
        await Endpoint.WriteStreamAsync(range.Offset, data, CancellationToken.None);
    }

    private static DeviceName Device(ReadOnlyMemory<byte> body)
    {
        try
        {
            return DeviceName.Parse(Encoding.UTF8.GetString(body.Span));
        }
        catch (FormatException e)
        {
            throw Refuse(Errno.EINVAL, e.Message);
        }
    }

    private static ulong Number(ReadOnlyMemory<byte> body) =>
        ExtensionNumber.TryRead(body.Span, out var number) ? number.Value : throw Malformed("extension command");

    private void Reply(byte[] body) => body.CopyTo(Body(body.Length));
}
