using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Memory;

/// <summary>Guest RAM in a memfd, mapped here and by every device, and the table of page digests beside it.</summary>
internal sealed unsafe class GuestRam : IDisposable
{
    private readonly MappedMemory _memory;

    public GuestRam(GuestMemoryLayout layout)
    {
        Layout = layout;
        File = Memfd.Create("guest-ram", (long)layout.SizeBytes);
        DigestBytes = (layout.PageCount * sizeof(uint) + GuestMemoryLayout.PageSizeBytes - 1)
            / GuestMemoryLayout.PageSizeBytes * GuestMemoryLayout.PageSizeBytes;
        DigestFile = Memfd.Create("page-digests", DigestBytes);
        _memory = MappedMemory.Map(File, 0, (long)layout.SizeBytes);
    }

    public GuestMemoryLayout Layout { get; }

    /// <summary>Page n at byte n * 4096, all windows one after the other.</summary>
    public SafeFileHandle File { get; }

    /// <summary>u32 CRC-32C a page, written by whoever moves pages; here only so that it outlives that process.</summary>
    public SafeFileHandle DigestFile { get; }

    public long DigestBytes { get; }

    public byte* Page(long page)
    {
        // SAFETY: callers number pages by the layout; the mapping holds exactly that many and lives as long as this.
        return _memory.Pointer + page * GuestMemoryLayout.PageSizeBytes;
    }

    /// <summary>Whether a page was never written, or holds zeros. Reading a hole through the mapping would fill it.</summary>
    public bool IsZero(long page)
    {
        Span<byte> buffer = stackalloc byte[GuestMemoryLayout.PageSizeBytes];
        int read = RandomAccess.Read(File, buffer, page * GuestMemoryLayout.PageSizeBytes);
        return !buffer[..read].ContainsAnyExcept((byte)0);
    }

    public void Dispose()
    {
        _memory.Dispose();
        File.Dispose();
        DigestFile.Dispose();
    }
}
