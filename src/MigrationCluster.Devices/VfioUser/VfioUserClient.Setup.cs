using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>The opening: version, twin socket, regions and interrupts.</summary>
public partial class VfioUserClient
{
    /// <summary>What a client announces. Minor 1 is answered by every server known.</summary>
    private const ushort AnnouncedMinor = 1;

    private const int MaxRegions = 64;
    private const int MaxInterrupts = 64;

    private async Task NegotiateAsync(ServedKind needed, CancellationToken cancellationToken)
    {
        byte[] hello = VersionMessage.Write(AnnouncedMinor, new VersionCapabilities(
            MaxMessageFds: 8,
            MaxDataTransferBytes: MaxTransferBytes,
            TwinSocket: _options.TwinSocket,
            Extension: new ExtensionOffer(ExtensionOffer.CurrentVersion, ServedKind.Device)));
        var reply = await AskAsync(
            (ushort)VfioUserCommand.Version, hello, default, default, default, cancellationToken, keepRest: true);
        try
        {
            if (!VersionMessage.TryRead(reply.Rest, out _, out var server, out string? reason)) throw Broken(reason!);
            Server = server;
            if (server.TwinSocket && server.TwinFdIndex is { } index)
            {
                if (index >= reply.Files.Length) throw Broken($"grants a twin socket but sends no descriptor {index}");
                _twin = NewChannel(DescriptorSocket.Adopt(reply.Files[index]), SocketPath + " (twin)");
                _twin.Start();
            }
        }
        finally
        {
            DisposeAll(reply.Files);
        }
        if (needed > ServedKind.Device) CheckExtension(needed);
    }

    private void CheckExtension(ServedKind needed)
    {
        const int ours = ExtensionOffer.CurrentVersion;
        string? reason = Server.Extension switch
        {
            null => "is a plain device, no endpoint of a guest process",
            { Version: var theirs } when theirs > ours => $"speaks extension version {theirs}, this side {ours}: upgrade this side",
            { Version: var theirs } when theirs < ours => $"speaks extension version {theirs}, this side {ours}: upgrade the guest process",
            { Serves: var serves } when serves < needed => $"serves kind {serves}, and {needed} is needed",
            _ => null,
        };
        if (reason is not null) throw new DeviceRefusedException($"{SocketPath} {reason}", Errno.EPROTO);
    }

    private async Task ReadShapeAsync(CancellationToken cancellationToken)
    {
        byte[] body = new byte[DeviceGetInfo.Size];
        new DeviceGetInfo(DeviceGetInfo.Size, 0, 0, 0).Write(body);
        await AskAsync((ushort)VfioUserCommand.DeviceGetInfo, body, default, body, default, cancellationToken);
        if (!DeviceGetInfo.TryRead(body, out var info) || info.RegionCount > MaxRegions || info.IrqCount > MaxInterrupts)
            throw Broken($"claims {info.RegionCount} regions and {info.IrqCount} interrupts");

        var regions = new List<RegionShape>();
        for (int index = 0; index < info.RegionCount; index++)
            if (await ReadRegionShapeAsync(index, cancellationToken) is { SizeBytes: > 0 } region) regions.Add(region);
        var interrupts = new List<InterruptShape>();
        for (int index = 0; index < info.IrqCount; index++)
            if (await ReadInterruptShapeAsync(index, cancellationToken) is { Count: > 0 } interrupt) interrupts.Add(interrupt);
        Shape = new DeviceShape((info.Flags & DeviceGetInfo.ResetFlag) != 0, regions, interrupts);
    }

    private async Task<RegionShape?> ReadRegionShapeAsync(int index, CancellationToken cancellationToken)
    {
        uint argsz = GetRegionInfo.Size;
        for (int attempt = 0; attempt < 2; attempt++)
        {
            byte[] request = new byte[GetRegionInfo.Size];
            new GetRegionInfo(argsz, 0, (uint)index, 0, 0, 0).Write(request);
            byte[] body = new byte[argsz];
            var reply = await AskAsync(
                (ushort)VfioUserCommand.GetRegionInfo, request, default, body.AsMemory(0, GetRegionInfo.Size),
                body.AsMemory(GetRegionInfo.Size), cancellationToken);
            int taken = 0;
            try
            {
                if (!GetRegionInfo.TryRead(body, out var info) || info.Index != index || info.Argsz > 1 << 16)
                    throw Broken($"describes region {index} with nonsense");
                if (info.Argsz > argsz)
                {
                    argsz = info.Argsz;
                    continue;
                }
                bool mappable = (info.Flags & GetRegionInfo.MmapFlag) != 0 && reply.Files.Length > 0;
                if (mappable)
                {
                    var areas = AreasOf(body.AsSpan(0, reply.HeadBytes + reply.DataBytes), info);
                    _regionFiles[index] = new RegionFile(reply.Files[taken++], info.Offset, areas);
                }
                return new RegionShape(
                    index, info.SizeBytes, (info.Flags & GetRegionInfo.ReadFlag) != 0,
                    (info.Flags & GetRegionInfo.WriteFlag) != 0, mappable);
            }
            finally
            {
                DisposeAll(reply.Files.Skip(taken));
            }
        }
        throw Broken($"asks for ever more room to describe region {index}");
    }

    /// <summary>Without a sparse-mmap capability all of a mappable region may be mapped.</summary>
    private SparseArea[] AreasOf(ReadOnlySpan<byte> body, GetRegionInfo info)
    {
        SparseArea[] areas = [];
        if ((info.Flags & GetRegionInfo.CapabilitiesFlag) != 0
            && !SparseMmapCapability.TryFind(body, info.CapabilityOffset, out areas))
            throw Broken($"describes region {info.Index} with a broken capability chain");
        return areas.Length > 0 ? areas : [new SparseArea(0, info.SizeBytes)];
    }

    private async Task<InterruptShape?> ReadInterruptShapeAsync(int index, CancellationToken cancellationToken)
    {
        byte[] body = new byte[GetIrqInfo.Size];
        new GetIrqInfo(GetIrqInfo.Size, 0, (uint)index, 0).Write(body);
        await AskAsync((ushort)VfioUserCommand.GetIrqInfo, body, default, body, default, cancellationToken);
        return GetIrqInfo.TryRead(body, out var info) && info.Count <= 1 << 16
            ? new InterruptShape(index, (int)info.Count)
            : throw Broken($"describes interrupt {index} with nonsense");
    }
}
