using System.Globalization;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>One region of a function, as a line of its resource file says: where it starts is the host's business, its size
/// and kind are the device's.</summary>
/// <param name="Index">0 to 5, 6 for the expansion ROM: VFIO's region indexes.</param>
public sealed record PciBar(int Index, ulong SizeBytes, PciBarKind Kind, bool Prefetchable)
{
    /// <summary>The ROM's; the lines after it are bridge windows and SR-IOV, which are no regions of this function.</summary>
    internal const int MaxIndex = 6;

    // include/linux/ioport.h
    private const ulong IORESOURCE_IO = 0x100;
    private const ulong IORESOURCE_MEM = 0x200;
    private const ulong IORESOURCE_PREFETCH = 0x2000;

    /// <summary>Reads a line "start end flags".</summary>
    /// <param name="bar">null: the line is right and says that there is no region.</param>
    /// <returns>false: the line means nothing.</returns>
    public static bool TryParse(int index, string line, out PciBar? bar)
    {
        bar = null;
        string[] parts = line.Split(' ');
        if (parts.Length != 3 || !TryHex(parts[0], out ulong start) || !TryHex(parts[1], out ulong end)
            || !TryHex(parts[2], out ulong flags)) return false;
        if (start == 0 && end == 0) return true;
        bool io = (flags & IORESOURCE_IO) != 0;
        // A size of 2^64 has no number.
        if (end < start || end - start == ulong.MaxValue || io == ((flags & IORESOURCE_MEM) != 0)) return false;
        bar = new PciBar(index, end - start + 1, io ? PciBarKind.Io : PciBarKind.Memory, (flags & IORESOURCE_PREFETCH) != 0);
        return true;
    }

    private static bool TryHex(string text, out ulong value)
    {
        value = 0;
        return text.StartsWith("0x", StringComparison.Ordinal)
            && ulong.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
    }
}
