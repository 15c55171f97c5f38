using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.IommufdLane;

/// <summary>The product's DMA space over a page table of the mock, made with the calls that opening a device makes; windows in it.</summary>
internal sealed unsafe class MockBench : IDisposable
{
    private readonly KernelFile _iommufd;
    private readonly List<MappedMemory> _memory = [];

    public MockBench(bool logs = true)
    {
        _iommufd = OpenIommufd();
        Mock = new MockIommu(LinuxCalls.Instance, _iommufd.Descriptor);
        Must(VfioUapi.AllocateIoas(_iommufd, out uint ioas), "IOAS_ALLOC");
        var device = Mock.Add(ioas, logs);
        Must(VfioUapi.GetHardware(_iommufd, device.Id, out bool tracks), "GET_HW_INFO");
        Tracks = tracks;
        Allocated = VfioUapi.AllocateTable(_iommufd, device.Id, ioas, out uint table);
        Table = table;
        if (Allocated >= 0) Mock.Attach(device, table);
        Space = new IommufdSpace(_iommufd, ioas, Allocated >= 0 ? table : null);
    }

    public MockIommu Mock { get; }

    /// <summary>Whether GET_HW_INFO says that it can log.</summary>
    public bool Tracks { get; }

    /// <summary>What HWPT_ALLOC with dirty tracking answered.</summary>
    public int Allocated { get; }

    public uint Table { get; }

    public IommufdSpace Space { get; }

    public void Map(ulong iova, int pages)
    {
        using var file = Memfd.Create("lane", (long)pages * Pages.SizeBytes);
        var memory = MappedMemory.Map(file, 0, (long)pages * Pages.SizeBytes);
        _memory.Add(memory);
        Must(Space.Map((ulong)memory.Pointer, new Iova(iova), (ulong)memory.Length, readable: true, writable: true), $"mapping {pages} pages at {iova:x}");
    }

    public void Unmap(ulong iova, int pages) => Must(Space.Unmap(new Iova(iova), (ulong)pages * Pages.SizeBytes), $"unmapping {pages} pages at {iova:x}");

    public void Write(ulong iova, int pages, IReadOnlyCollection<int> written)
    {
        long found = Mock.Write(Table, iova, pages, written);
        if (found != written.Count) throw new CheckFailedException($"of {written.Count} pages at {iova:x} the mock wrote {found}");
    }

    public byte[] Report(ulong iova, int pages)
    {
        byte[] bitmap = Pages.Bitmap(pages);
        Must(ReportInto(bitmap, iova, pages), $"reporting {pages} pages at {iova:x}");
        return bitmap;
    }

    public int ReportInto(Span<byte> bitmap, ulong iova, int pages, int pageSizeBytes = Pages.SizeBytes) =>
        Space.ReportDirty(new Iova(iova), (ulong)pages * Pages.SizeBytes, pageSizeBytes, bitmap);

    public void Dispose()
    {
        // The page tables end with iommufd; only then is the memory let go.
        Space.Dispose();
        foreach (var memory in _memory) memory.Dispose();
    }

    public static void Must(int result, string call)
    {
        if (result < 0) throw new CheckFailedException($"{call}: errno {-result}");
    }

    private static KernelFile OpenIommufd()
    {
        int file = LinuxCalls.Instance.Open("/dev/iommu");
        return file >= 0
            ? new KernelFile(LinuxCalls.Instance, file, "/dev/iommu")
            : throw new CheckFailedException($"cannot open /dev/iommu (errno {-file}): this kernel has no iommufd");
    }
}
