using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Memory;

/// <summary>
/// Where everything lies in guest RAM; a function of the launch spec alone, so both ends of a migration agree.
///
/// <code>
///   page 0   reserved
///   page 1   version table: u32 a page of RAM
///   ...      data pages, split among the vCPUs
///   ...      DMA areas, one per net or legacy, at the end
/// </code>
/// Like on a PC, RAM lies in two windows, below and above 4 GiB; peers' BARs are reached between them, from 3 GiB on.
/// Pages are numbered through both, and page n lies at n * 4096 of the RAM's file.
/// </summary>
internal sealed class GuestMap
{
    public const long EntriesPerTablePage = GuestMemoryLayout.PageSizeBytes / sizeof(uint);
    private const ulong HoleStart = 3UL << 30;
    private const ulong HighStart = 4UL << 30;
    private const ulong PeerWindowSpacing = 1 << 20;
    private const long MinDmaPages = 64;
    private const long MaxDmaPages = 4096;

    /// <summary>Dirty bitmaps of a window start on a whole word of the guest's.</summary>
    private const long WindowAlignmentPages = 64;

    private readonly LaunchSpec _spec;
    private readonly long _dmaPages;

    public GuestMap(LaunchSpec spec)
    {
        _spec = spec;
        long pages = spec.MemoryMiB * 256L;
        long low = Math.Min(pages / 2, (long)(HoleStart / GuestMemoryLayout.PageSizeBytes)) / WindowAlignmentPages * WindowAlignmentPages;
        Layout = new GuestMemoryLayout(
        [
            new MemoryWindow(new Gpa(0), (ulong)low * GuestMemoryLayout.PageSizeBytes),
            new MemoryWindow(new Gpa(HighStart), (ulong)(pages - low) * GuestMemoryLayout.PageSizeBytes),
        ]);
        _dmaPages = Math.Clamp(pages / 64, MinDmaPages, MaxDmaPages);
        long tablePages = (pages + EntriesPerTablePage - 1) / EntriesPerTablePage;
        FirstDataPage = FirstTablePage + tablePages;
        DataPages = pages - Masters.Count * _dmaPages - FirstDataPage;
    }

    public GuestMemoryLayout Layout { get; }

    public static long FirstTablePage => 1;

    public long FirstDataPage { get; }

    public long DataPages { get; }

    /// <summary>Devices that write RAM by themselves.</summary>
    private List<LaunchDevice> Masters => [.. _spec.Devices.Where(device => device.Model is "net" or "legacy")];

    /// <summary>Why this spec has no room for what it describes; null: it has.</summary>
    public static string? Problem(LaunchSpec spec)
    {
        var map = new GuestMap(spec);
        long least = Math.Max(spec.Vcpus.Count, 1) * 64L;
        if (map.DataPages < least) return $"memoryMiB {spec.MemoryMiB} leaves {map.DataPages} pages for {spec.Vcpus.Count} vCPUs, {least} are needed";
        long highPages = (long)(map.Layout.Windows[1].SizeBytes / GuestMemoryLayout.PageSizeBytes);
        return map.Masters.Count * map._dmaPages > highPages ? $"memoryMiB {spec.MemoryMiB} has no room for {map.Masters.Count} DMA areas" : null;
    }

    /// <summary>The data pages of one vCPU.</summary>
    public (long First, long Count) Partition(int vcpu)
    {
        long first = DataPages * vcpu / _spec.Vcpus.Count;
        return (FirstDataPage + first, DataPages * (vcpu + 1) / _spec.Vcpus.Count - first);
    }

    public (long FirstPage, long Count) DmaArea(LaunchDevice master) =>
        (Layout.PageCount - (Masters.IndexOf(master) + 1) * _dmaPages, _dmaPages);

    /// <summary>Where a device's doorbell page is mapped for its peers' DMA.</summary>
    public Iova PeerWindow(LaunchDevice target) => new(HoleStart + (ulong)IndexOf(target) * PeerWindowSpacing);

    /// <summary>The doorbell slot that is this device's own.</summary>
    public int DoorbellSlot(LaunchDevice master) => Masters.IndexOf(master);

    private int IndexOf(LaunchDevice device)
    {
        for (int i = 0; i < _spec.Devices.Count; i++)
            if (_spec.Devices[i].Name == device.Name) return i;
        throw new ArgumentException($"no device {device.Name}");
    }
}
