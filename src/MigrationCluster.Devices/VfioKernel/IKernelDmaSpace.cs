using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>Where a kernel device's DMA goes: a type 1 container, or an IOAS of iommufd. Both can also tell, in the IOMMU, what was written.</summary>
/// <remarks>Every method returns a negative errno, or 0 or more.</remarks>
internal interface IKernelDmaSpace : IDisposable
{
    /// <summary>For people: group 7, iommufd.</summary>
    string Name { get; }

    /// <param name="address">of the mapped memory in this process.</param>
    int Map(ulong address, Iova start, ulong sizeBytes, bool readable, bool writable);

    int Unmap(Iova start, ulong sizeBytes);

    /// <summary>Starts logging in the IOMMU; a negative errno where it cannot.</summary>
    int StartDirtyLog();

    int StopDirtyLog();

    /// <summary>Reads and clears what was logged of one mapped window; adds bits.</summary>
    int ReportDirty(Iova start, ulong sizeBytes, int pageSizeBytes, Span<byte> bitmap);
}
