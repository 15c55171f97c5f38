using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>An IOAS of iommufd.</summary>
/// <param name="table">the hardware page table over it that can log DMA writes; null: this IOMMU, or an emulated device, has none.</param>
internal sealed class IommufdSpace(KernelFile iommufd, uint ioas, uint? table) : IKernelDmaSpace
{
    public string Name => "iommufd";

    public int Map(ulong address, Iova start, ulong sizeBytes, bool readable, bool writable) =>
        VfioUapi.MapIoas(iommufd, ioas, address, start.Value, sizeBytes, readable, writable);

    public int Unmap(Iova start, ulong sizeBytes) => VfioUapi.UnmapIoas(iommufd, ioas, start.Value, sizeBytes);

    public int StartDirtyLog() => table is { } tracked ? VfioUapi.TrackDirty(iommufd, tracked, enable: true) : -Errno.EOPNOTSUPP;

    public int StopDirtyLog() => table is { } tracked ? VfioUapi.TrackDirty(iommufd, tracked, enable: false) : -Errno.EOPNOTSUPP;

    public int ReportDirty(Iova start, ulong sizeBytes, int pageSizeBytes, Span<byte> bitmap) => table is { } tracked
        ? VfioUapi.GetDirtyBitmap(iommufd, tracked, start.Value, sizeBytes, (ulong)pageSizeBytes, bitmap)
        : -Errno.EOPNOTSUPP;

    public void Dispose() => iommufd.Dispose();
}
