using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace MigrationCluster.DataPlane.Memory;

/// <summary>How pages get into mapped guest RAM.</summary>
/// <remarks>
/// Measured on two cores (AVX-512), from a buffer in the cache: check and ordinary copy 12 GB/s, both in one loop 17 GB/s, check and
/// then a copy past the cache 27 GB/s, because the old content is not read first. So nothing is written before its check, and that
/// is the fastest way too. Loops over bytes are compiled for speed at once (AggressiveOptimization), here and in the checks: otherwise a daemon's first
/// migration runs them as they are compiled first, several times slower.
/// </remarks>
internal static unsafe partial class GuestPages
{
    private const int PopulateForWriting = 23; // MADV_POPULATE_WRITE, Linux 5.14

    /// <summary>Copies whole pages. Others see them in order only after a memory barrier.</summary>
    /// <param name="destination">begins at a page; as long as <paramref name="source"/>.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void CopyPastTheCache(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, source.Length);
        fixed (byte* from = source, to = destination)
        {
            // A vector that the CPU does not have would be stored in the ordinary way.
            if (!Vector256.IsHardwareAccelerated || (nuint)to % 64 != 0 || source.Length % 64 != 0) source.CopyTo(destination);
            // SAFETY: both have Length bytes, a multiple of 64, and the destination is aligned as the stores want it.
            else if (Vector512.IsHardwareAccelerated)
                for (int at = 0; at < source.Length; at += 64) Vector512.Load(from + at).StoreAlignedNonTemporal(to + at);
            else
                for (int at = 0; at < source.Length; at += 32) Vector256.Load(from + at).StoreAlignedNonTemporal(to + at);
        }
    }

    /// <summary>
    /// Has the kernel put memory behind pages that were never written, at once instead of one fault a page. Only advice: where it is
    /// refused the faults come.
    /// </summary>
    internal static void MakePresent(Span<byte> pages)
    {
        // SAFETY: whole mapped pages; populating changes no content.
        fixed (byte* at = pages) _ = Advise(at, (nuint)pages.Length, PopulateForWriting);
    }

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(byte* address, nuint length, int advice);
}
