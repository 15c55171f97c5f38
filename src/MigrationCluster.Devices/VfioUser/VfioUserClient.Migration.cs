using System.Buffers;
using System.Runtime.InteropServices;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>Device state, the state stream and the dirty log.</summary>
public partial class VfioUserClient
{
    private const int FeatureRoom = FeatureHeader.Size + 8;

    public async ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken)
    {
        byte[] reply = new byte[FeatureRoom];
        try
        {
            await AskFeatureAsync(FeatureIndex.Migration, FeatureHeader.GetFlag, FeatureRoom, default, reply, cancellationToken);
        }
        catch (DeviceRefusedException)
        {
            // Some servers lose the thread after a feature they do not know; ours do not.
            if (!SpeaksExtension) Main.Break("not migratable; dropped after the feature probe it refused");
            return MigrationCapabilities.None;
        }
        MigrationFeature.TryRead(reply.AsSpan(FeatureHeader.Size), out var feature);
        return feature.Capabilities;
    }

    public async ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken)
    {
        byte[] reply = new byte[FeatureRoom];
        await AskFeatureAsync(FeatureIndex.DeviceState, FeatureHeader.GetFlag, FeatureRoom, default, reply, cancellationToken);
        DeviceStateFeature.TryRead(reply.AsSpan(FeatureHeader.Size), out var feature);
        return Enum.IsDefined(feature.State) ? feature.State : throw Broken($"is in state {(uint)feature.State}");
    }

    public async ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        byte[] data = new byte[DeviceStateFeature.Size];
        new DeviceStateFeature(target).Write(data);
        await AskFeatureAsync(
            FeatureIndex.DeviceState, FeatureHeader.SetFlag, FeatureRoom, data, default, cancellationToken,
            _options.StateLimit);
    }

    public async ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        buffer = buffer[..Math.Min(buffer.Length, MaxReadBytes)];
        int? place = await EnterBufferAsync(buffer, cancellationToken);
        if (place is null) return await ReadPlainDataAsync(buffer, cancellationToken);
        try
        {
            return (await ReadRangeAsync(ExtensionCommand.ReadData, 0, buffer, place, cancellationToken)).Bytes;
        }
        finally
        {
            LeaveBuffer(place);
        }
    }

    private async ValueTask<int> ReadPlainDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        byte[] head = new byte[MigrationData.Size];
        new MigrationData((uint)buffer.Length).Write(head);
        var reply = await AskAsync((ushort)VfioUserCommand.MigrationDataRead, head, default, head, buffer, cancellationToken);
        DisposeAll(reply.Files);
        if (!MigrationData.TryRead(head, out var data) || data.SizeBytes > reply.DataBytes)
            throw Broken($"claims {data.SizeBytes} bytes of state in a reply of {reply.DataBytes}");
        return (int)data.SizeBytes;
    }

    public async ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        while (data.Length > 0)
        {
            var part = data[..Math.Min(data.Length, MaxWriteBytes)];
            int? place = await EnterBufferAsync(part, cancellationToken);
            try
            {
                await (place is null
                    ? WritePlainDataAsync(part, cancellationToken)
                    : WriteRangeAsync(ExtensionCommand.WriteData, 0, part, place, cancellationToken));
            }
            finally
            {
                LeaveBuffer(place);
            }
            data = data[part.Length..];
        }
    }

    private async ValueTask WritePlainDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        byte[] head = new byte[MigrationData.Size];
        new MigrationData((uint)data.Length).Write(head);
        await AskAsync((ushort)VfioUserCommand.MigrationDataWrite, head, data, default, default, cancellationToken);
    }

    /// <summary>Only our extension carries these; the standard's stream has no such numbers.</summary>
    public async ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken)
    {
        if (!SpeaksExtension) return null;
        byte[] reply = new byte[OptionalNumbers.Size];
        await AskAsync((ushort)ExtensionCommand.GetPreCopyBytes, default, default, reply, default, cancellationToken);
        if (!OptionalNumbers.TryRead(reply, out var bytes)) throw Broken("sends malformed pre-copy bytes");
        return bytes.Known ? new PreCopyBytes(bytes.First, bytes.Second) : null;
    }

    public async ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(pageSizeBytes);
        // The page size survives a disconnect on some servers and then refuses another. Our endpoints keep their log
        // across sessions, and stopping it would lose what it holds.
        if (_logPageSizeBytes == 0 && Server.Extension is null or { Serves: ServedKind.Device })
            await TryStopLogAsync(cancellationToken);
        DmaWindow[] windows;
        lock (_windowLock) windows = [.. _windows];
        byte[] data = new byte[DirtyLogStart.Size + windows.Length * DirtyLogStart.RangeSize];
        new DirtyLogStart((ulong)pageSizeBytes, (uint)windows.Length).Write(data);
        for (int i = 0; i < windows.Length; i++)
            DirtyLogStart.WriteRange(data, i, windows[i].Start.Value, windows[i].SizeBytes);
        byte[] reply = new byte[FeatureHeader.Size + DirtyLogStart.Size];
        await AskFeatureAsync(
            FeatureIndex.DirtyLogStart, FeatureHeader.SetFlag, FeatureHeader.Size + data.Length, data, reply, cancellationToken);
        _logPageSizeBytes = pageSizeBytes;
        ulong granted = MemoryMarshal.Read<ulong>(reply.AsSpan(FeatureHeader.Size));
        if (granted == (ulong)pageSizeBytes) return;
        await StopDirtyLogAsync(cancellationToken);
        throw new DeviceRefusedException(
            $"{SocketPath} logs pages of {granted} bytes, not of {pageSizeBytes}", Errno.EINVAL);
    }

    public async ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        byte[] data = new byte[DirtyLogStart.Size];
        new DirtyLogStart((ulong)Math.Max(_logPageSizeBytes, 0), 0).Write(data);
        await AskFeatureAsync(
            FeatureIndex.DirtyLogStop, FeatureHeader.SetFlag, FeatureHeader.Size + data.Length, data, default, cancellationToken);
        _logPageSizeBytes = 0;
    }

    public async ValueTask ReportDirtyAsync(
        Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken)
    {
        if (_logPageSizeBytes == 0) throw new DeviceRefusedException("no dirty log was started", Errno.EINVAL);
        var request = new DirtyLogReport(start.Value, sizeBytes, (ulong)_logPageSizeBytes);
        long bytes = request.BitmapBytes;
        if (bitmap.Length < bytes)
            throw new ArgumentException($"a bitmap of {bitmap.Length} bytes for {sizeBytes} bytes of memory");
        byte[] data = new byte[DirtyLogReport.Size];
        request.Write(data);
        byte[] head = new byte[FeatureHeader.Size + DirtyLogReport.Size];
        byte[] logged = ArrayPool<byte>.Shared.Rent((int)bytes);
        try
        {
            var reply = await AskFeatureAsync(
                FeatureIndex.DirtyLogReport, FeatureHeader.GetFlag, head.Length + (int)bytes, data, head, cancellationToken,
                replyData: logged.AsMemory(0, (int)bytes));
            // A range that crosses into the next window is answered with success and no bitmap.
            if (reply.DataBytes != bytes && !HasNoFile(start))
                throw new DeviceRefusedException(
                    $"{SocketPath} reported {reply.DataBytes} of {bytes} bytes of dirty bitmap", Errno.EPROTO);
            AddBits(logged.AsSpan(0, reply.DataBytes), bitmap.Span);
        }
        catch (DeviceRefusedException e) when (e.Errno == Errno.EINVAL && HasNoFile(start))
        {
            // A window without a descriptor has no log at the server: its writes pass the target, which logs them.
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(logged);
        }
    }

    private bool HasNoFile(Iova start)
    {
        lock (_windowLock) return _windows.Exists(window => window.Start == start && window.File is null);
    }

    private static void AddBits(ReadOnlySpan<byte> from, Span<byte> to)
    {
        for (int i = 0; i < from.Length; i++) to[i] |= from[i];
    }

    private async ValueTask TryStopLogAsync(CancellationToken cancellationToken)
    {
        try
        {
            await StopDirtyLogAsync(cancellationToken);
        }
        catch (DeviceRefusedException)
        {
            // None was running.
        }
    }

    private async ValueTask<Reply> AskFeatureAsync(
        FeatureIndex index, uint operation, int argsz, ReadOnlyMemory<byte> data, Memory<byte> reply,
        CancellationToken cancellationToken, TimeSpan? limit = null, Memory<byte> replyData = default)
    {
        byte[] head = new byte[FeatureHeader.Size];
        new FeatureHeader((uint)argsz, (uint)index | operation).Write(head);
        var answer = await AskAsync(
            (ushort)VfioUserCommand.DeviceFeature, head, data, reply, replyData, cancellationToken, limit: limit);
        DisposeAll(answer.Files);
        return answer;
    }
}
