using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>The standard's commands: shape, regions, interrupts, DMA windows.</summary>
internal sealed partial class ServerConnection
{
    /// <summary>A PCI device always has these many indices, most of them empty.</summary>
    private const int PciRegions = 9;
    private const int PciInterrupts = 5;
    private const ulong MaxWindowBytes = 8UL << 40;

    private ValueTask ExecuteAsync(IncomingCommand command) => command.Header.Command switch
    {
        (ushort)VfioUserCommand.DmaMap => MapAsync(command),
        (ushort)VfioUserCommand.DmaUnmap => UnmapAsync(command.Body),
        (ushort)VfioUserCommand.DeviceGetInfo => DescribeDevice(command.Body.Span),
        (ushort)VfioUserCommand.GetRegionInfo => DescribeRegion(command.Body.Span),
        (ushort)VfioUserCommand.GetIrqInfo => DescribeInterrupt(command.Body.Span),
        (ushort)VfioUserCommand.SetIrqs => SetInterruptsAsync(command),
        (ushort)VfioUserCommand.RegionRead => ReadRegionAsync(command.Body),
        (ushort)VfioUserCommand.RegionWrite => WriteRegionAsync(command.Body),
        (ushort)VfioUserCommand.Reset => _served.Device.ResetAsync(CancellationToken.None),
        (ushort)VfioUserCommand.DeviceFeature => FeatureAsync(command.Body),
        (ushort)VfioUserCommand.MigrationDataRead => ReadPlainDataAsync(command.Body),
        (ushort)VfioUserCommand.MigrationDataWrite => WritePlainDataAsync(command.Body),
        var number when SpeaksExtension => ExecuteExtensionAsync((ExtensionCommand)number, command.Body, command.Files),
        var number => throw Refuse(Errno.EINVAL, $"unknown command {number}"),
    };

    private ValueTask DescribeDevice(ReadOnlySpan<byte> body)
    {
        if (!DeviceGetInfo.TryRead(body, out _)) throw Malformed("DEVICE_GET_INFO");
        var shape = _served.Device.Shape;
        int regions = Math.Max(PciRegions, shape.Regions.Select(region => region.Index + 1).DefaultIfEmpty().Max());
        uint flags = DeviceGetInfo.PciFlag | (shape.CanReset ? DeviceGetInfo.ResetFlag : 0);
        new DeviceGetInfo(DeviceGetInfo.Size, flags, (uint)regions, PciInterrupts).Write(Body(DeviceGetInfo.Size));
        return ValueTask.CompletedTask;
    }

    private ValueTask DescribeRegion(ReadOnlySpan<byte> body)
    {
        if (!GetRegionInfo.TryRead(body, out var request)) throw Malformed("GET_REGION_INFO");
        var region = FindRegion(request.Index);
        if (region is null)
        {
            if (request.Index >= PciRegions) throw Refuse(Errno.EINVAL, $"no region {request.Index}");
            new GetRegionInfo(GetRegionInfo.Size, 0, request.Index, 0, 0, 0).Write(Body(GetRegionInfo.Size));
            return ValueTask.CompletedTask;
        }
        ulong offset = 0;
        var file = region.Mappable
            ? (_served.Device as IMappableRegions)?.RegionFile(region.Index, out offset)
            : null;
        uint flags = (region.Readable ? GetRegionInfo.ReadFlag : 0) | (region.Writable ? GetRegionInfo.WriteFlag : 0);
        uint size = GetRegionInfo.Size;
        if (file is not null)
        {
            flags |= GetRegionInfo.MmapFlag | GetRegionInfo.CapabilitiesFlag;
            size += (uint)SparseMmapCapability.SizeOf(1);
        }
        bool room = request.Argsz >= size;
        var reply = Body(room ? (int)size : GetRegionInfo.Size);
        uint capabilities = file is not null && room ? GetRegionInfo.Size : 0u;
        new GetRegionInfo(size, flags, request.Index, capabilities, region.SizeBytes, offset).Write(reply);
        if (capabilities != 0)
        {
            SparseMmapCapability.Write(reply[GetRegionInfo.Size..], [new SparseArea(0, region.SizeBytes)]);
            _replyFiles = [file!];
        }
        return ValueTask.CompletedTask;
    }

    private ValueTask DescribeInterrupt(ReadOnlySpan<byte> body)
    {
        if (!GetIrqInfo.TryRead(body, out var request) || request.Index >= PciInterrupts) throw Malformed("GET_IRQ_INFO");
        uint count = (uint)VectorsOf((int)request.Index);
        new GetIrqInfo(GetIrqInfo.Size, count > 0 ? GetIrqInfo.EventFdFlag : 0, request.Index, count)
            .Write(Body(GetIrqInfo.Size));
        return ValueTask.CompletedTask;
    }

    private async ValueTask ReadRegionAsync(ReadOnlyMemory<byte> body)
    {
        if (!RegionAccess.TryRead(body.Span, out var access)) throw Malformed("REGION_READ");
        CheckAccess(access, write: false);
        // The machine's registers report on the guest in every state.
        if (_served.Machine is null) await RequireAsync(DeviceAction.RegisterAccess);
        access.Write(Body(RegionAccess.Size + (int)access.Count));
        await _served.Device.ReadRegionAsync(
            (int)access.Region, access.Offset, _reply.AsMemory(RegionAccess.Size, (int)access.Count), CancellationToken.None);
    }

    private async ValueTask WriteRegionAsync(ReadOnlyMemory<byte> body)
    {
        if (!RegionAccess.TryRead(body.Span, out var access) || body.Length - RegionAccess.Size != access.Count)
            throw Malformed("REGION_WRITE");
        CheckAccess(access, write: true);
        await RequireAsync(DeviceAction.RegisterAccess);
        await _served.Device.WriteRegionAsync(
            (int)access.Region, access.Offset, body[RegionAccess.Size..], CancellationToken.None);
        access.Write(Body(RegionAccess.Size));
    }

    private void CheckAccess(RegionAccess access, bool write)
    {
        var region = FindRegion(access.Region) ?? throw Refuse(Errno.EINVAL, $"no region {access.Region}");
        if (access.Count > MaxTransferBytes || access.Offset > region.SizeBytes
            || access.Count > region.SizeBytes - access.Offset)
            throw Refuse(Errno.EINVAL,
                $"{access.Count} bytes at 0x{access.Offset:x} leave region {access.Region} of {region.SizeBytes} bytes");
        if (!(write ? region.Writable : region.Readable))
            throw Refuse(Errno.EINVAL, $"region {access.Region} is not {(write ? "writable" : "readable")}");
    }

    private async ValueTask MapAsync(IncomingCommand command)
    {
        if (!DmaMapRequest.TryRead(command.Body.Span, out var request) || command.Files.Length > 1
            || request.SizeBytes > MaxWindowBytes)
            throw Malformed("DMA_MAP");
        bool needsFile = (request.Flags & (DmaMapRequest.MmapFlag | DmaMapRequest.FileIoFlag)) != 0;
        var file = command.Files.Length == 1 ? command.Files[0] : null;
        if (needsFile && file is null) throw Refuse(Errno.EINVAL, "these DMA_MAP flags need a descriptor");
        await RequireAsync(DeviceAction.DmaMap);
        var start = new Iova(request.Iova);
        foreach (var old in _served.Windows.Where(old => Overlaps(old.Start, old.SizeBytes, request)).ToArray())
        {
            // The same window again replaces itself; a client that came back after a crash does that.
            if (old.Start != start || old.SizeBytes != request.SizeBytes)
                throw Refuse(Errno.EEXIST, $"the window at {start} overlaps the one at {old.Start}");
            await UnmapAsync(old.Start, old.SizeBytes);
        }
        var target = file is null ? new RemoteDmaTarget(_twin ?? _main, _client!.MaxDataTransferBytes is > 0 and var most
            ? Math.Min(most, MaxTransferBytes) : MaxTransferBytes, DmaLimit) : null;
        await _served.Device.MapDmaAsync(
            new DmaWindow(
                start, request.SizeBytes, (request.Flags & DmaMapRequest.ReadFlag) != 0,
                (request.Flags & DmaMapRequest.WriteFlag) != 0, file, request.FileOffset, target),
            CancellationToken.None);
        _served.Windows.Add((start, request.SizeBytes, this));
    }

    private static bool Overlaps(Iova start, ulong size, DmaMapRequest request) =>
        start.Value <= request.Iova + (request.SizeBytes - 1) && request.Iova <= start.Value + (size - 1);

    private async ValueTask UnmapAsync(ReadOnlyMemory<byte> body)
    {
        if (!DmaUnmapRequest.TryRead(body.Span, out var request)) throw Malformed("DMA_UNMAP");
        await RequireAsync(DeviceAction.DmaMap);
        switch (request.Flags)
        {
            case DmaUnmapRequest.AllFlag when request.Iova == 0 && request.SizeBytes == 0:
                foreach (var window in _served.Windows.ToArray()) await UnmapAsync(window.Start, window.SizeBytes);
                break;
            case 0:
                var start = new Iova(request.Iova);
                if (!_served.Windows.Exists(window => window.Start == start && window.SizeBytes == request.SizeBytes))
                    throw Refuse(Errno.ENOENT, $"no window of {request.SizeBytes} bytes at {start}");
                await UnmapAsync(start, request.SizeBytes);
                break;
            default:
                throw Refuse(Errno.EINVAL, $"DMA_UNMAP flags 0x{request.Flags:x}");
        }
        request.Write(Body(DmaUnmapRequest.Size));
    }

    private async Task UnmapAsync(Iova start, ulong sizeBytes)
    {
        await _served.Device.UnmapDmaAsync(start, sizeBytes, CancellationToken.None);
        _served.Windows.RemoveAll(window => window.Start == start && window.SizeBytes == sizeBytes);
    }

    private async ValueTask SetInterruptsAsync(IncomingCommand command)
    {
        if (!SetIrqsRequest.TryRead(command.Body.Span, out var request) || request.Index >= PciInterrupts)
            throw Malformed("SET_IRQS");
        await RequireAsync(DeviceAction.InterruptSetup);
        const uint bind = SetIrqsRequest.DataEventFd | SetIrqsRequest.ActionTrigger;
        const uint unbind = SetIrqsRequest.DataNone | SetIrqsRequest.ActionTrigger;
        const uint unmask = SetIrqsRequest.DataNone | SetIrqsRequest.ActionUnmask;
        switch (request.Flags)
        {
            case bind when command.Files.Length > 0:
                await BindInterruptsAsync(request, command.Files);
                break;
            case bind:
            case unbind when request is { Start: 0, Count: 0 }:
                await UnbindInterruptsAsync((int)request.Index);
                break;
            case unmask:
                // Nothing is ever masked here, because masking is refused.
                break;
            default:
                throw Refuse(Errno.EINVAL, $"SET_IRQS flags 0x{request.Flags:x}");
        }
    }

    private async Task BindInterruptsAsync(SetIrqsRequest request, SafeFileHandle?[] files)
    {
        int index = (int)request.Index;
        int vectors = VectorsOf(index);
        if (request.Count != files.Length || request.Start > (uint)vectors || request.Count > (uint)vectors - request.Start)
            throw Refuse(Errno.EINVAL, $"interrupt {index} has {vectors} vectors");
        var old = _served.Interrupts.GetValueOrDefault(index) ?? new SafeFileHandle?[vectors];
        var slots = old.ToArray();
        files.CopyTo(slots, (int)request.Start);
        int bound = Array.FindLastIndex(slots, file => file is not null) + 1;
        if (slots.Take(bound).Any(file => file is null))
            throw Refuse(Errno.EINVAL, $"vectors of interrupt {index} must be bound from the first on");
        await _served.Device.SetInterruptsAsync(index, [.. slots.Take(bound).Select(file => file!)], CancellationToken.None);
        _served.Interrupts[index] = slots;
        Array.Clear(files);
        foreach (var file in old.Except(slots)) file?.Dispose();
    }

    private async Task UnbindInterruptsAsync(int index)
    {
        if (!_served.Interrupts.TryGetValue(index, out var slots)) return;
        await _served.Device.SetInterruptsAsync(index, [], CancellationToken.None);
        _served.Interrupts.Remove(index);
        foreach (var file in slots) file?.Dispose();
    }

    private RegionShape? FindRegion(uint index) =>
        _served.Device.Shape.Regions.FirstOrDefault(region => region.Index == index && region.SizeBytes > 0);

    private int VectorsOf(int index) =>
        _served.Device.Shape.Interrupts.FirstOrDefault(interrupt => interrupt.Index == index)?.Count ?? 0;

    private static DeviceRefusedException Malformed(string command) => Refuse(Errno.EINVAL, $"malformed {command}");
}
