using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>Device features and the state stream.</summary>
internal sealed partial class ServerConnection
{
    /// <summary>Bitmaps of 1 TiB of pages of 4 KiB; more is asked for in parts.</summary>
    private const int MaxBitmapBytes = 32 << 20;

    private async ValueTask FeatureAsync(ReadOnlyMemory<byte> body)
    {
        if (!FeatureHeader.TryRead(body.Span, out var feature)) throw Malformed("DEVICE_FEATURE");
        bool get = (feature.Flags & FeatureHeader.GetFlag) != 0;
        bool set = (feature.Flags & FeatureHeader.SetFlag) != 0;
        if ((feature.Flags & FeatureHeader.ProbeFlag) != 0)
        {
            bool known = feature.Index switch
            {
                FeatureIndex.Migration or FeatureIndex.DirtyLogReport => !set,
                FeatureIndex.DeviceState => true,
                FeatureIndex.DirtyLogStart or FeatureIndex.DirtyLogStop => !get,
                _ => false,
            };
            if (!known || await _served.Device.ProbeMigrationAsync(CancellationToken.None) == MigrationCapabilities.None)
                throw Refuse(Errno.EINVAL, $"no feature {(int)feature.Index}");
            Echo(body);
            return;
        }
        if (get == set) throw Malformed("DEVICE_FEATURE");
        var data = body[FeatureHeader.Size..];
        await ((feature.Index, set) switch
        {
            (FeatureIndex.Migration, false) => ProbeAsync(feature),
            (FeatureIndex.DeviceState, false) => GetStateAsync(feature),
            (FeatureIndex.DeviceState, true) => SetStateAsync(body, data),
            (FeatureIndex.DirtyLogStart, true) => StartLogAsync(body, data),
            (FeatureIndex.DirtyLogStop, true) => StopLogAsync(body),
            (FeatureIndex.DirtyLogReport, false) => ReportAsync(feature, data),
            _ => throw Refuse(Errno.EINVAL, $"no feature {(int)feature.Index} to {(set ? "set" : "get")}"),
        });
    }

    private async ValueTask ProbeAsync(FeatureHeader feature)
    {
        var capabilities = await _served.Device.ProbeMigrationAsync(CancellationToken.None);
        if (capabilities == MigrationCapabilities.None) throw Refuse(Errno.EINVAL, "the device is not migratable");
        new MigrationFeature(capabilities).Write(FeatureReply(feature, MigrationFeature.Size));
    }

    private async ValueTask GetStateAsync(FeatureHeader feature)
    {
        var state = await _served.Device.GetStateAsync(CancellationToken.None);
        new DeviceStateFeature(state).Write(FeatureReply(feature, DeviceStateFeature.Size));
    }

    private async ValueTask SetStateAsync(ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> data)
    {
        if (!DeviceStateFeature.TryRead(data.Span, out var request)) throw Malformed("MIG_DEVICE_STATE");
        await _served.Device.SetStateAsync(request.State, CancellationToken.None);
        Echo(body);
    }

    private async ValueTask StartLogAsync(ReadOnlyMemory<byte> body, ReadOnlyMemory<byte> data)
    {
        if (!DirtyLogStart.TryRead(data.Span, out var request) || request.PageSizeBytes is 0 or > 1 << 30)
            throw Malformed("LOG_START");
        await _served.Device.StartDirtyLogAsync((int)request.PageSizeBytes, CancellationToken.None);
        _served.LogPageSizeBytes = (int)request.PageSizeBytes;
        Echo(body);
    }

    private async ValueTask StopLogAsync(ReadOnlyMemory<byte> body)
    {
        await _served.Device.StopDirtyLogAsync(CancellationToken.None);
        _served.LogPageSizeBytes = 0;
        Echo(body);
    }

    private async ValueTask ReportAsync(FeatureHeader feature, ReadOnlyMemory<byte> data)
    {
        if (!DirtyLogReport.TryRead(data.Span, out var request)) throw Malformed("LOG_REPORT");
        if (_served.LogPageSizeBytes == 0 || request.PageSizeBytes != (ulong)_served.LogPageSizeBytes)
            throw Refuse(Errno.EINVAL, $"the log counts pages of {_served.LogPageSizeBytes} bytes");
        var start = new Iova(request.Iova);
        var window = _served.Windows.Find(window => window.Start == start);
        if (window.Owner is null) throw Refuse(Errno.ENOENT, $"no window starts at {start}");
        if (request.LengthBytes == 0 || request.LengthBytes > window.SizeBytes)
            throw Refuse(Errno.EOPNOTSUPP, $"{request.LengthBytes} bytes at {start} are not within one window");
        if (request.BitmapBytes > MaxBitmapBytes) throw Refuse(Errno.EINVAL, "the range is too long for one report");
        await RequireAsync(DeviceAction.DirtyReport);
        int bytes = (int)request.BitmapBytes;
        var reply = FeatureReply(feature, DirtyLogReport.Size + bytes);
        request.Write(reply);
        reply[DirtyLogReport.Size..].Clear();
        await _served.Device.ReportDirtyAsync(
            start, request.LengthBytes, _reply.AsMemory(FeatureHeader.Size + DirtyLogReport.Size, bytes), CancellationToken.None);
    }

    private async ValueTask ReadPlainDataAsync(ReadOnlyMemory<byte> body)
    {
        if (!MigrationData.TryRead(body.Span, out var request)) throw Malformed("MIG_DATA_READ");
        int most = Math.Min(MaxTransferBytes, _client!.MaxDataTransferBytes);
        if (request.SizeBytes > most) throw Refuse(Errno.EINVAL, $"at most {most} bytes at once");
        await RequireAsync(DeviceAction.DataRead);
        Reserve(MigrationData.Size + (int)request.SizeBytes);
        int read = await _served.Device.ReadDataAsync(
            _reply.AsMemory(MigrationData.Size, (int)request.SizeBytes), CancellationToken.None);
        new MigrationData((uint)read).Write(Body(MigrationData.Size + read));
    }

    private async ValueTask WritePlainDataAsync(ReadOnlyMemory<byte> body)
    {
        if (!MigrationData.TryRead(body.Span, out var request)) throw Malformed("MIG_DATA_WRITE");
        var data = body[MigrationData.Size..];
        if (data.Length != request.SizeBytes) throw Malformed("MIG_DATA_WRITE");
        await RequireAsync(DeviceAction.DataWrite);
        await _served.Device.WriteDataAsync(data, CancellationToken.None);
    }

    /// <summary>The reply's data, behind its header.</summary>
    private Span<byte> FeatureReply(FeatureHeader request, int dataBytes)
    {
        int size = FeatureHeader.Size + dataBytes;
        if (request.Argsz < size) throw Refuse(Errno.EINVAL, $"argsz {request.Argsz} leaves no room for {size} bytes");
        var reply = Body(size);
        new FeatureHeader((uint)size, request.Flags).Write(reply);
        return reply[FeatureHeader.Size..];
    }

    private void Echo(ReadOnlyMemory<byte> body) => body.Span.CopyTo(Body(body.Length));
}
