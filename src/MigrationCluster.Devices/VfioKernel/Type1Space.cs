using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>A container with a type 1 IOMMU, and the one group in it.</summary>
/// <remarks>Its dirty bitmap holds what devices may have written: pages pinned by a driver, or with a real IOMMU behind it all of them.</remarks>
internal sealed class Type1Space(KernelFile container, KernelFile group, int number) : IKernelDmaSpace
{
    public string Name => $"group {number}";

    public int Map(ulong address, Iova start, ulong sizeBytes, bool readable, bool writable) =>
        VfioUapi.MapDma(container, address, start.Value, sizeBytes, readable, writable);

    public int Unmap(Iova start, ulong sizeBytes) => VfioUapi.UnmapDma(container, start.Value, sizeBytes);

    public int StartDirtyLog() => VfioUapi.StartDirtyPages(container);

    public int StopDirtyLog() => VfioUapi.StopDirtyPages(container);

    public int ReportDirty(Iova start, ulong sizeBytes, int pageSizeBytes, Span<byte> bitmap)
    {
        // The kernel replaces the bitmap; what is in it already stays.
        byte[] logged = new byte[bitmap.Length];
        int result = VfioUapi.GetDirtyPages(container, start.Value, sizeBytes, (ulong)pageSizeBytes, logged);
        for (int i = 0; i < logged.Length; i++) bitmap[i] |= logged[i];
        return result;
    }

    public void Dispose()
    {
        group.Dispose();
        container.Dispose();
    }
}
