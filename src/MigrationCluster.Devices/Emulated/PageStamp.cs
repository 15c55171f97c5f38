using System.Runtime.CompilerServices;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// How guest software and devices mark a 4 KiB page so that a lost, stale or torn copy shows: each of its eight
/// 512-byte sectors starts with the page's own number and its version. Version 0 is a page never written: all zero.
///
/// <code>
///   sector s:  u64 page number * 8 + s + 1,  u32 version,  u32 ~version,  496 bytes left alone
/// </code>
/// </summary>
public static unsafe class PageStamp
{
    public const int PageBytes = 4096;
    public const int Sectors = 8;
    private const int SectorBytes = PageBytes / Sectors;

    /// <summary>Stamps a page. Not atomic: a copy taken meanwhile is torn, and shows as such.</summary>
    /// <param name="page">a whole mapped page.</param>
    public static void Write(byte* page, ulong number, uint version)
    {
        // SAFETY: the caller owns PageBytes bytes at page, which is page aligned.
        ulong value = version | (ulong)~version << 32;
        ulong tag = number * Sectors + 1;
        for (int sector = 0; sector < Sectors; sector++, page += SectorBytes)
        {
            Volatile.Write(ref Unsafe.AsRef<ulong>(page), tag + (ulong)sector);
            Volatile.Write(ref Unsafe.AsRef<ulong>(page + 8), value);
        }
    }

    /// <summary>Whether all sectors of a page carry this number and version; for version 0, whether none is stamped.</summary>
    public static bool Matches(byte* page, ulong number, uint version)
    {
        // SAFETY: as in Write.
        ulong value = version == 0 ? 0 : version | (ulong)~version << 32;
        ulong tag = version == 0 ? 0 : number * Sectors + 1;
        ulong step = version == 0 ? 0UL : 1;
        ulong difference = 0;
        for (int sector = 0; sector < Sectors; sector++, page += SectorBytes, tag += step)
            difference |= (*(ulong*)page ^ tag) | (*(ulong*)(page + 8) ^ value);
        return difference == 0;
    }

    /// <summary>The version a page carries.</summary>
    /// <returns>null: torn, or another page's stamp.</returns>
    public static uint? Read(byte* page, ulong number)
    {
        uint version = *(uint*)(page + 8);
        return Matches(page, number, version) ? version : null;
    }

    /// <summary>What one page at one version adds to an accumulator over many: sums of it are order-free and can be
    /// kept up to date with one addition and one subtraction a write. Version 0 adds nothing.</summary>
    public static ulong Mix(ulong number, uint version)
    {
        if (version == 0) return 0;
        // The finisher of SplitMix64 (Steele, Lea, Flood 2014).
        ulong x = number * 0x9E3779B97F4A7C15 + version * 0xD1B54A32D192ED03;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9;
        x = (x ^ x >> 27) * 0x94D049BB133111EB;
        return x ^ x >> 31;
    }
}
