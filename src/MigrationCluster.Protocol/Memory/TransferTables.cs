namespace MigrationCluster.Protocol.Memory;

/// <summary>
/// What a guest process keeps of transfers in memory that it shares with whoever moves its pages, so that it outlives that one.
/// </summary>
/// <remarks><code>
///   0                    a u32 a page: CRC-32C of the page as last sent (source) or last loaded (destination)
///   LedgerOffset         64-bit words, little-endian:
///     0  Incarnation     of this guest process: random, not 0, written by it when it starts
///     1  Counted         incarnation of the destination that everything below counts for; 0: none yet
///     2.. TransferCount  what was moved between the two, by <see cref="TransferCount"/>
///   OwedOffset           a bit a page: the source owes it to that destination. Bit k is byte k/8, bit k%8
/// </code>
/// A page is owed until the destination has acknowledged it. Whoever reads a dirty log adds the report here before acknowledging it,
/// so at any moment a page that the destination lacks is in a device's log, in a report not acknowledged, or owed.
/// </remarks>
public static class TransferTables
{
    public const int IncarnationWord = 0;
    public const int CountedWord = 1;

    private const int Alignment = GuestMemoryLayout.PageSizeBytes;

    public static long LedgerOffset(long pageCount) => Align(pageCount * sizeof(uint));

    public static long OwedOffset(long pageCount) => LedgerOffset(pageCount) + Alignment;

    public static long SizeBytes(long pageCount) => Align(OwedOffset(pageCount) + (pageCount + 63) / 64 * sizeof(ulong));

    private static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;
}

/// <summary>Word of the ledger that counts, in bytes.</summary>
public enum TransferCount
{
    Pages = 2,
    Zeros,
    Devices,
    Protocol,

    /// <summary>Page and device bytes that the destination has acknowledged.</summary>
    Acknowledged,

    /// <summary>Page and device bytes that were sent and not acknowledged when a connection was lost: they are owed again.</summary>
    Unacknowledged,
}
