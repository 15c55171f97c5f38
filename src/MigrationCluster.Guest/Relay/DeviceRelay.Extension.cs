using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>What our extension adds to a device.</summary>
internal sealed partial class DeviceRelay
{
    public async ValueTask BindAsync(GuestName guest, Fence fence, CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _fence.Bind(guest, fence);
        _bound = fence;
    }

    public ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken) => new(_setup.Descriptor);

    public ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken) =>
        _device.CheckVersionAsync(version, cancellationToken);

    public ValueTask<SetupRecord> GetSetupRecordAsync(CancellationToken cancellationToken) => new(_setup);

    public async ValueTask<Verdict> CheckSetupAsync(SetupRecord source, CancellationToken cancellationToken)
    {
        var answer = await AskVersionAsync(source.Descriptor.VersionString, cancellationToken);
        return SetupCheck.Judge(source, _setup, answer, HandlerChain.Default);
    }

    /// <summary>Nobody but the device itself reads a version string.</summary>
    private async ValueTask<VersionAnswer> AskVersionAsync(string? version, CancellationToken cancellationToken)
    {
        if (version is null) return VersionAnswer.NotAsked;
        try
        {
            await _device.CheckVersionAsync(version, cancellationToken);
            return VersionAnswer.Accepted;
        }
        catch (DeviceRefusedException e)
        {
            return e.Errno == Errno.EOPNOTSUPP ? VersionAnswer.NotAsked : VersionAnswer.Refused;
        }
    }

    public async ValueTask<ulong> ReadDirtyAsync(PageBitmap pages, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        Require(DeviceAction.DirtyReport);
        _pending.Check(pages);
        for (int i = 0; i < _ram.Layout.Windows.Count; i++)
        {
            var window = _ram.Layout.Windows[i];
            int bytes = (int)((window.SizeBytes / GuestMemoryLayout.PageSizeBytes + 63) / 64 * 8);
            var bitmap = _windowBitmap.AsMemory(0, bytes);
            bitmap.Span.Clear();
            // What the device hands over is cleared there: from here on only the pending set holds it.
            await _device.ReportDirtyAsync(new Iova(window.Start.Value), window.SizeBytes, bitmap, cancellationToken);
            AddWindow(i, bitmap.Span);
        }
        _readSinceStopped = FencedArc.IsStopped(_state);
        return _pending.Report(pages);
    }

    private void AddWindow(int window, ReadOnlySpan<byte> bitmap)
    {
        // GuestMap starts every window on a whole byte of the guest's bitmap.
        var target = _pending.Pages.Bytes[(int)(_ram.Layout.FirstPageOf(window) / 8)..];
        int bytes = Math.Min(bitmap.Length, target.Length);
        for (int i = 0; i < bytes; i++) target[i] |= bitmap[i];
    }

    public async ValueTask AckDirtyAsync(ulong sequence, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _pending.Acknowledge(sequence);
    }

    public async ValueTask<int> ReadStreamAsync(ulong offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (offset != _retained.End || buffer.IsEmpty) return _retained.Read(offset, buffer.Span);
        int room = Math.Min(buffer.Length, _retained.Room);
        if (room == 0)
            throw new DeviceRefusedException(
                $"{Name} retains {RetainedStream.WindowBytes} bytes that nobody has acknowledged", Errno.EAGAIN);
        Require(DeviceAction.DataRead);
        int read = await _device.ReadDataAsync(buffer[..room], cancellationToken);
        _retained.Append(buffer.Span[..read]);
        return read;
    }

    public async ValueTask AckStreamAsync(ulong offset, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _retained.Acknowledge(offset);
    }

    public async ValueTask WriteStreamAsync(ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (offset > _accepted)
            throw new DeviceRefusedException($"{_accepted} bytes are accepted; bytes from {offset} on leave a gap", Errno.EINVAL);
        ulong known = _accepted - offset;
        if (known >= (ulong)data.Length) return;
        data = data[(int)known..];
        Require(DeviceAction.DataWrite);
        await _device.WriteDataAsync(data, cancellationToken);
        _acceptedCrc = Crc32C.Append(_acceptedCrc, data.Span);
        _accepted += (ulong)data.Length;
    }

    public async ValueTask<StreamDigest> GetStreamDigestAsync(CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        return _loading ? new StreamDigest(_accepted, _acceptedCrc) : new StreamDigest(_retained.End, _retained.Crc);
    }

    public async ValueTask<ulong?> GetContentDigestAsync(CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        var state = await GetStateAsync(cancellationToken);
        if (state != DeviceState.Stop)
            throw new DeviceRefusedException($"{Name} tells its content in Stop only, not in {state}", Errno.EBUSY);
        // The register is our models'; what lies there in a device of another make is nobody's to touch.
        if (_setup.Descriptor.Model is not { } model || !DeviceModels.Names.Contains(model)) return null;
        byte[] value = new byte[8];
        await _device.ReadRegionAsync(DeviceRegisters.Bar, DeviceRegisters.Checksum, value, cancellationToken);
        return BitConverter.ToUInt64(value);
    }
}
