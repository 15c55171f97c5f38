using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Guest.Memory;

/// <summary>Guest RAM in a memfd, mapped here and by every device, and the tables of transfers beside it.</summary>
internal sealed unsafe class GuestRam : IDisposable
{
    private readonly MappedMemory _memory;

    public GuestRam(GuestMemoryLayout layout)
    {
        Layout = layout;
        File = Memfd.Create("guest-ram", (long)layout.SizeBytes);
        TablesBytes = TransferTables.SizeBytes(layout.PageCount);
        TablesFile = Memfd.Create("transfer-tables", TablesBytes);
        // What is acknowledged to this process is void for every other one, before or after it.
        byte[] incarnation = RandomNumberGenerator.GetBytes(sizeof(ulong));
        incarnation[0] |= 1;
        RandomAccess.Write(TablesFile, incarnation, TransferTables.LedgerOffset(layout.PageCount));
        _memory = MappedMemory.Map(File, 0, (long)layout.SizeBytes);
    }

    public GuestMemoryLayout Layout { get; }

    /// <summary>Page n at byte n * 4096, all windows one after the other.</summary>
    public SafeFileHandle File { get; }

    /// <summary><see cref="TransferTables"/>, written by whoever moves pages; here only so that they outlive that process.</summary>
    public SafeFileHandle TablesFile { get; }

    public long TablesBytes { get; }

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
        TablesFile.Dispose();
    }
}
