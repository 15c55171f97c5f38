using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>A device as it is without migration support: registers, DMA and interrupts.</summary>
internal sealed class Unmigratable(IMigratableDevice device) : IMigratableDevice
{
    public DeviceShape Shape => device.Shape;

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken token) => new(MigrationCapabilities.None);

    // The server itself asks for it, to know what is allowed.
    public ValueTask<DeviceState> GetStateAsync(CancellationToken token) => device.GetStateAsync(token);

    public ValueTask SetStateAsync(DeviceState target, CancellationToken token) => throw Refuse();

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken token) => throw Refuse();

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken token) => throw Refuse();

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken token) => throw Refuse();

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken token) => throw Refuse();

    public ValueTask StopDirtyLogAsync(CancellationToken token) => throw Refuse();

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken token) => throw Refuse();

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken token) =>
        device.ReadRegionAsync(region, offset, destination, token);

    public ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken token) =>
        device.WriteRegionAsync(region, offset, source, token);

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken token) => device.MapDmaAsync(window, token);

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken token) => device.UnmapDmaAsync(start, sizeBytes, token);

    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken token) =>
        device.SetInterruptsAsync(index, eventFds, token);

    public ValueTask ResetAsync(CancellationToken token) => device.ResetAsync(token);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private static DeviceRefusedException Refuse() => new("no migration", Errno.EINVAL);
}
