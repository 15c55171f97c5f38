namespace MigrationCluster.Devices.Emulated;

/// <summary>A 64-bit checksum over a device's registers, for comparing two ends of a migration. No protection against intent.</summary>
internal static class ContentHash
{
    public static ulong Append(ulong hash, ulong value)
    {
        ulong x = (hash ^ value) * 0x9E3779B97F4A7C15;
        return x ^ x >> 29;
    }

    public static ulong Append(ulong hash, ReadOnlySpan<ulong> values)
    {
        foreach (ulong value in values) hash = Append(hash, value);
        return hash;
    }
}
