using System.Runtime.InteropServices;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.DataPlane.Memory;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.DataPlane.Receiving;

/// <summary>
/// Puts one channel's pages into guest RAM: each one only after its check, made on the received copy. Once sealed it
/// writes nothing more, so that what a manifest agreed upon stays so.
/// </summary>
internal sealed class PageSink(MappedGuestRam ram, TransferMeter meter)
{
    private const int PageSizeBytes = GuestMemoryLayout.PageSizeBytes;

    private readonly Lock _lock = new();
    private bool _sealed;

    /// <summary>After this call nothing is being written, and nothing will be.</summary>
    internal void Seal()
    {
        lock (_lock) _sealed = true;
    }

    /// <returns>bytes of pages that came over the wire.</returns>
    /// <exception cref="TransferFailedException">a page does not match its check, or comes after the manifest.</exception>
    internal long Take(in FrameHeader header, ReadOnlySpan<byte> payload)
    {
        lock (_lock)
        {
            if (_sealed) throw new TransferFailedException(TransferFailureReason.BadFrame, "pages follow the manifest");
            if (header.Kind == FrameKind.ZeroRun)
            {
                ram.ClearPages((long)header.First, (long)header.Count);
                meter.AddZeros((long)header.Count * PageSizeBytes);
                return 0;
            }
            TakePages((long)header.First, (int)header.Count, payload);
            return (long)header.Count * PageSizeBytes;
        }
    }

    private void TakePages(long first, int count, ReadOnlySpan<byte> payload)
    {
        if (first + count > ram.WindowEnd(first))
            throw new TransferFailedException(
                TransferFailureReason.BadFrame, $"{count} pages from page {first} cross the end of a memory window");
        var checks = MemoryMarshal.Cast<byte, uint>(payload[..(count * sizeof(uint))]);
        var pages = payload[(count * sizeof(uint))..];
        var destination = ram.Pages(first, count);
        var digests = ram.Digests(first, count);
        if (digests[0] == 0) GuestPages.MakePresent(destination);
        for (int i = 0; i < count; i++)
        {
            var page = pages.Slice(i * PageSizeBytes, PageSizeBytes);
            if (Crc32C.Compute(page) != checks[i])
                throw new TransferFailedException(
                    TransferFailureReason.PageCorrupt, $"page {first + i} does not match its CRC-32C; it was not written");
            GuestPages.CopyPastTheCache(page, destination.Slice(i * PageSizeBytes, PageSizeBytes));
            digests[i] = checks[i];
        }
        Interlocked.MemoryBarrier(); // what went past the cache is there before anybody hears of it
        meter.AddPages((long)count * PageSizeBytes);
    }
}
