using System.Security.Cryptography;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>
/// SHA-256 over what lies in guest RAM now: over the SHA-256 of every 2 MiB, in page order, which all cores hash side by side. What the
/// digest table says of a page was true when the page was sent or written; this is what is there. The guest must stand still.
/// </summary>
internal static class RamHash
{
    private const int PageSizeBytes = GuestMemoryLayout.PageSizeBytes;
    private static readonly byte[] Zeros = new byte[DataPlaneWire.PagesPerRange * PageSizeBytes];
    private static readonly byte[] OfZeros = SHA256.HashData(Zeros);

    internal static byte[] Of(MappedGuestRam ram)
    {
        long pages = ram.Layout.PageCount;
        long ranges = (pages + DataPlaneWire.PagesPerRange - 1) / DataPlaneWire.PagesPerRange;
        var hashes = new byte[ranges * SHA256.HashSizeInBytes];
        Parallel.For(0, ranges, range =>
        {
            long first = range * DataPlaneWire.PagesPerRange, end = Math.Min(first + DataPlaneWire.PagesPerRange, pages);
            HashRange(ram, first, end, hashes.AsSpan((int)(range * SHA256.HashSizeInBytes), SHA256.HashSizeInBytes));
        });
        return SHA256.HashData(hashes);
    }

    /// <summary>A hole counts as zeros and is not read: reading it through the mapping would fill it.</summary>
    private static void HashRange(MappedGuestRam ram, long page, long end, Span<byte> hash)
    {
        ram.NextData(page, out long data, out long dataEnd);
        if (data >= end && end - page == DataPlaneWire.PagesPerRange)
        {
            OfZeros.CopyTo(hash);
            return;
        }
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        while (true)
        {
            long holeEnd = Math.Min(data, end);
            sha.AppendData(Zeros.AsSpan(0, (int)(holeEnd - page) * PageSizeBytes));
            page = Math.Min(dataEnd, end);
            if (page > holeEnd) sha.AppendData(ram.Pages(holeEnd, (int)(page - holeEnd)));
            if (page == end) break;
            ram.NextData(page, out data, out dataEnd);
        }
        sha.GetHashAndReset(hash);
    }
}
