using System.Globalization;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>What an open kernel device can do, found by trying, for people and scripts: a fact a line, name first.</summary>
public static class KernelProbe
{
    private const int Pages = 16;
    private static readonly Iova Start = new(0x100000);

    /// <remarks>Maps a little memory for a moment and logs DMA into it: for a device that nobody uses.</remarks>
    public static async Task<IReadOnlyList<string>> ReadAsync(VfioKernelDevice device, CancellationToken cancellationToken)
    {
        var capabilities = await device.ProbeMigrationAsync(cancellationToken);
        List<string> facts =
        [
            $"device {device.Id}",
            $"type {device.MediatedType ?? "none"}",
            $"opened-by {device.OpenedBy}",
            $"state {await device.GetStateAsync(cancellationToken)}",
            $"capabilities {capabilities}",
            $"reset {(device.Shape.CanReset ? "yes" : "no")}",
            .. device.Shape.Regions.Select(region => string.Create(CultureInfo.InvariantCulture, $"region {region.Index} {region.SizeBytes}")),
            .. device.Shape.Interrupts.Select(interrupt => string.Create(CultureInfo.InvariantCulture, $"interrupt {interrupt.Index} {interrupt.Count}")),
        ];
        if (capabilities == MigrationCapabilities.None) return facts;
        facts.Add($"stop-copy-bytes {(await device.GetStopCopyBytesAsync(cancellationToken))?.ToString(CultureInfo.InvariantCulture) ?? "untold"}");
        facts.Add($"dirty-log {await ReadDirtySourceAsync(device, cancellationToken)}");
        if (!capabilities.HasFlag(MigrationCapabilities.PreCopy)) return facts;
        await device.SetStateAsync(DeviceState.PreCopy, cancellationToken);
        facts.Add(await device.GetPreCopyBytesAsync(cancellationToken) is { } bytes
            ? $"pre-copy initial {bytes.InitialBytes} dirty {bytes.DirtyBytes}"
            : "pre-copy untold");
        await device.SetStateAsync(DeviceState.Running, cancellationToken);
        return facts;
    }

    private static async Task<DirtySource> ReadDirtySourceAsync(VfioKernelDevice device, CancellationToken cancellationToken)
    {
        const ulong bytes = (ulong)Pages * GuestMemoryLayout.PageSizeBytes;
        using var file = Memfd.Create("probe", (long)bytes);
        await device.MapDmaAsync(new DmaWindow(Start, bytes, true, true, file, 0, null), cancellationToken);
        await device.StartDirtyLogAsync(GuestMemoryLayout.PageSizeBytes, cancellationToken);
        var source = device.DirtySource;
        await device.StopDirtyLogAsync(cancellationToken);
        await device.UnmapDmaAsync(Start, bytes, cancellationToken);
        return source;
    }
}
