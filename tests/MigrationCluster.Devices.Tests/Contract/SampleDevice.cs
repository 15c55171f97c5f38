using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.Contract;

/// <summary>
/// The smallest device that has everything: content in a register region, a doorbell that writes guest memory, a mappable
/// region, interrupts, pre-copy and P2P as asked for. Its stream is sections of tag, length, content and sum.
/// </summary>
internal class SampleDevice : IMigratableDevice, IMappableRegions
{
    public const int ContentBytes = 2048;

    /// <summary>Writing an address here makes the device count up the 64-bit number there by DMA, then interrupt.</summary>
    public const ulong Doorbell = 2048;

    public const int MemoryRegion = 1;
    public const int MemoryBytes = 64 << 10;
    public const int Vectors = 12;

    private const uint PreTag = 1, FinalTag = 2;

    private readonly MigrationCapabilities _capabilities;
    private readonly Lock _lock = new();
    private readonly byte[] _content = new byte[ContentBytes];
    private readonly Dictionary<Iova, (DmaWindow Window, MappedMemory? Memory, byte[] Dirty)> _windows = [];
    private readonly MemoryStream _loaded = new();
    private IReadOnlyList<SafeFileHandle> _interrupts = [];
    private DeviceState _state = DeviceState.Running;
    private byte[] _out = [];
    private int _outAt;
    private bool _finalQueued;
    private byte[]? _preSent;
    private bool _loadFailed;
    private bool _loadComplete;
    private bool _logging;

    public SampleDevice(MigrationCapabilities capabilities)
    {
        _capabilities = capabilities;
        Memory = Memfd.Create("sample", MemoryBytes);
    }

    public DeviceShape Shape { get; } = new(
        true,
        [
            new RegionShape(0, 4096, true, true, false),
            new RegionShape(MemoryRegion, MemoryBytes, true, true, true),
            new RegionShape(7, 256, true, false, false),
        ],
        [new InterruptShape(0, 1), new InterruptShape(2, Vectors), new InterruptShape(3, 1)]);

    public SafeFileHandle Memory { get; }

    /// <summary>When set, a state change waits for it: a device that quiesces for ever.</summary>
    public Task? Hang { get; set; }

    /// <summary>A device that allows everything everywhere, and trusts its server to know better.</summary>
    public bool Lax { get; set; }

    public int Resets { get; private set; }

    public int BoundInterrupts => _interrupts.Count;

    public int MappedWindows
    {
        get
        {
            lock (_lock) return _windows.Count;
        }
    }

    public SafeFileHandle? RegionFile(int region, out ulong offset)
    {
        offset = 0;
        return region == MemoryRegion ? Memory : null;
    }

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) => new(_capabilities);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken) => new(_state);

    public void Fail() => _state = DeviceState.Error;

    public async ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        if (Hang is { } hang) await hang;
        lock (_lock)
        {
            var path = DeviceArcs.Path(_state, target, _capabilities)
                ?? throw Refuse(Errno.EINVAL, $"no way from {_state} to {target}");
            foreach (var next in path) Enter(next);
        }
    }

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.DataRead);
            if (_outAt == _out.Length) QueueSection();
            int count = Math.Min(buffer.Length, _out.Length - _outAt);
            _out.AsSpan(_outAt, count).CopyTo(buffer.Span);
            _outAt += count;
            return new(count);
        }
    }

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.DataWrite);
            if (_loadFailed) throw Refuse(Errno.EIO, "the stream was refused; only a reset helps");
            _loaded.Write(data.Span);
            TakeSections();
            return ValueTask.CompletedTask;
        }
    }

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken) =>
        new(new PreCopyBytes(_preSent is null ? (ulong)ContentBytes : 0, 17));

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        if (pageSizeBytes != 4096) throw Refuse(Errno.EINVAL, $"pages of {pageSizeBytes} bytes");
        _logging = true;
        return ValueTask.CompletedTask;
    }

    public ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        _logging = false;
        return ValueTask.CompletedTask;
    }

    public ValueTask ReportDirtyAsync(
        Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.DirtyReport);
            if (!_logging) throw Refuse(Errno.EINVAL, "no log");
            if (!_windows.TryGetValue(start, out var window)) throw Refuse(Errno.ENOENT, "no window");
            for (int i = 0; i < Math.Min(window.Dirty.Length, bitmap.Length); i++) bitmap.Span[i] |= window.Dirty[i];
            Array.Clear(window.Dirty);
            return ValueTask.CompletedTask;
        }
    }

    public ValueTask ReadRegionAsync(
        int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.RegisterAccess);
            CheckRange(region, offset, destination.Length);
            destination.Span.Clear();
            if (region == MemoryRegion) RandomAccess.Read(Memory, destination.Span, (long)offset);
            else if (region == 0 && offset < ContentBytes)
                _content.AsSpan((int)offset, Math.Min(destination.Length, ContentBytes - (int)offset)).CopyTo(destination.Span);
            return ValueTask.CompletedTask;
        }
    }

    public async ValueTask WriteRegionAsync(
        int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.RegisterAccess);
            CheckRange(region, offset, source.Length);
            if (region == MemoryRegion) RandomAccess.Write(Memory, source.Span, (long)offset);
            else if (offset + (ulong)source.Length <= ContentBytes) source.Span.CopyTo(_content.AsSpan((int)offset));
        }
        if (region == 0 && offset == Doorbell)
            await RingAsync(new Iova(BinaryPrimitives.ReadUInt64LittleEndian(source.Span)));
    }

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.DmaMap);
            foreach (var (other, _, _) in _windows.Values)
                if (window.Start.Value < other.Start.Value + other.SizeBytes
                    && other.Start.Value < window.Start.Value + window.SizeBytes)
                    throw Refuse(Errno.EEXIST, $"overlaps the window at {other.Start}");
            var memory = window.File is null ? null : MappedMemory.Map(window.File, window.FileOffset, (long)window.SizeBytes);
            _windows.Add(window.Start, (window, memory, new byte[(window.SizeBytes / 4096 + 63) / 64 * 8]));
            return ValueTask.CompletedTask;
        }
    }

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Require(DeviceAction.DmaMap);
            if (!_windows.TryGetValue(start, out var window) || window.Window.SizeBytes != sizeBytes)
                throw Refuse(Errno.ENOENT, $"no such window at {start}");
            _windows.Remove(start);
            window.Memory?.Dispose();
            return ValueTask.CompletedTask;
        }
    }

    public ValueTask SetInterruptsAsync(
        int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken)
    {
        Require(DeviceAction.InterruptSetup);
        int vectors = Shape.Interrupts.FirstOrDefault(shape => shape.Index == index)?.Count ?? 0;
        if (eventFds.Count > vectors) throw Refuse(Errno.EINVAL, $"interrupt {index} has {vectors} vectors");
        _interrupts = eventFds;
        return ValueTask.CompletedTask;
    }

    public ValueTask ResetAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            Resets++;
            Array.Clear(_content);
            _state = DeviceState.Running;
            _loadFailed = false;
            return ValueTask.CompletedTask;
        }
    }

    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        foreach (var window in _windows.Values) window.Memory?.Dispose();
        Memory.Dispose();
        return ValueTask.CompletedTask;
    }

    private async Task RingAsync(Iova address)
    {
        (DmaWindow Window, MappedMemory? Memory, byte[] Dirty) hit;
        lock (_lock)
        {
            Require(DeviceAction.OutgoingDma);
            hit = _windows.Values.FirstOrDefault(window =>
                address.Value >= window.Window.Start.Value && address.Value + 8 <= window.Window.Start.Value + window.Window.SizeBytes);
            if (hit.Window is null) throw Refuse(Errno.EFAULT, $"nothing at {address}");
            ulong offset = address.Value - hit.Window.Start.Value;
            if (hit.Memory is { } memory)
            {
                var number = memory.Span((long)offset, 8);
                BinaryPrimitives.WriteUInt64LittleEndian(number, BinaryPrimitives.ReadUInt64LittleEndian(number) + 1);
                if (_logging) hit.Dirty[offset / 4096 / 8] |= (byte)(1 << (int)(offset / 4096 % 8));
            }
        }
        if (hit.Memory is null)
        {
            byte[] number = new byte[8];
            await hit.Window.Target!.ReadAsync(address, number, default);
            BinaryPrimitives.WriteUInt64LittleEndian(number, BinaryPrimitives.ReadUInt64LittleEndian(number) + 1);
            await hit.Window.Target.WriteAsync(address, number, default);
        }
        if (_interrupts.Count > 0) EventFd.Signal(_interrupts[^1]);
    }

    private void Enter(DeviceState next)
    {
        if (_state == DeviceState.Resuming && (_loadFailed || !_loadComplete))
            throw Refuse(_loadFailed ? Errno.EIO : Errno.EINVAL, "the stream is not complete");
        if (next == DeviceState.Resuming)
        {
            _loaded.SetLength(0);
            _loadFailed = _loadComplete = false;
        }
        if (DeviceArcs.IsSaving(next) && !DeviceArcs.IsSaving(_state))
        {
            _out = [];
            _outAt = 0;
            _finalQueued = false;
            _preSent = null;
        }
        _state = next;
    }

    private void QueueSection()
    {
        if (_state == DeviceState.StopCopy && !_finalQueued)
        {
            _out = Section(FinalTag);
            _outAt = 0;
            _finalQueued = true;
        }
        else if (_state != DeviceState.StopCopy && !(_preSent?.AsSpan().SequenceEqual(_content) ?? false))
        {
            _out = Section(PreTag);
            _outAt = 0;
            _preSent = [.. _content];
        }
    }

    private byte[] Section(uint tag)
    {
        byte[] section = new byte[8 + ContentBytes + 4];
        BinaryPrimitives.WriteUInt32LittleEndian(section, tag);
        BinaryPrimitives.WriteUInt32LittleEndian(section.AsSpan(4), ContentBytes);
        _content.CopyTo(section, 8);
        BinaryPrimitives.WriteUInt32LittleEndian(section.AsSpan(8 + ContentBytes), Sum(section.AsSpan(0, 8 + ContentBytes)));
        return section;
    }

    private void TakeSections()
    {
        const int size = 8 + ContentBytes + 4;
        while (_loaded.Length > 0)
        {
            byte[] all = _loaded.ToArray();
            if (_loadComplete) throw FailLoad("bytes behind the end");
            if (all.Length >= 8 && (BinaryPrimitives.ReadUInt32LittleEndian(all) is not (PreTag or FinalTag)
                || BinaryPrimitives.ReadUInt32LittleEndian(all.AsSpan(4)) != ContentBytes)) throw FailLoad("unknown section");
            if (all.Length < size) return;
            if (Sum(all.AsSpan(0, size - 4)) != BinaryPrimitives.ReadUInt32LittleEndian(all.AsSpan(size - 4)))
                throw FailLoad("wrong sum");
            all.AsSpan(8, ContentBytes).CopyTo(_content);
            _loadComplete = BinaryPrimitives.ReadUInt32LittleEndian(all) == FinalTag;
            _loaded.SetLength(0);
            _loaded.Write(all.AsSpan(size));
        }
    }

    private DeviceRefusedException FailLoad(string reason)
    {
        _loadFailed = true;
        return Refuse(Errno.EINVAL, reason);
    }

    private static uint Sum(ReadOnlySpan<byte> bytes)
    {
        uint sum = 1;
        foreach (byte value in bytes) sum = sum * 16777619 ^ value;
        return sum;
    }

    private void CheckRange(int region, ulong offset, int length)
    {
        ulong size = Shape.Regions.FirstOrDefault(shape => shape.Index == region)?.SizeBytes ?? 0;
        if (offset > size || (ulong)length > size - offset) throw Refuse(Errno.EINVAL, $"outside region {region}");
    }

    private void Require(DeviceAction action)
    {
        if (!Lax && !AllowedActions.Allows(BackEnd.VfioUser, _state, action)) throw Refuse(Errno.EINVAL, $"no {action} in {_state}");
    }

    private static DeviceRefusedException Refuse(int errno, string message) => new(message, errno);
}
