using System.Globalization;

namespace MigrationCluster.Api;

/// <summary>A bandwidth as people write it, and as a request carries it: bytes per second, null where there is no limit.</summary>
public static class Bandwidth
{
    public const string Unlimited = "unlimited";
    public const string Form = "a whole number with MiB/s, GiB/s, Mbit/s or Gbit/s, e.g. 200MiB/s or 1Gbit/s, or unlimited";
    public const string Range = "1MiB/s to 1024GiB/s";

    /// <summary>With less no guest arrives, and a fair part of it is less than a page at a time.</summary>
    public const long LeastBytesPerSecond = 1 << 20;
    public const long MostBytesPerSecond = 1L << 40;

    private static readonly (string Unit, long BytesPerSecond)[] Units =
        [("GiB/s", 1 << 30), ("MiB/s", 1 << 20), ("Gbit/s", 125_000_000), ("Mbit/s", 125_000)];

    /// <param name="bytesPerSecond">null: unlimited.</param>
    /// <returns>false: it is not of the form.</returns>
    public static bool TryRead(string text, out long? bytesPerSecond)
    {
        bytesPerSecond = null;
        if (text == Unlimited) return true;
        foreach (var (unit, factor) in Units)
        {
            if (!text.EndsWith(unit, StringComparison.Ordinal)) continue;
            if (!long.TryParse(text.AsSpan(..^unit.Length), NumberStyles.None, CultureInfo.InvariantCulture, out long number)) return false;
            // More than any range allows stays more.
            bytesPerSecond = number > MostBytesPerSecond / factor ? long.MaxValue : number * factor;
            return true;
        }

        return false;
    }

    public static bool IsInRange(long? bytesPerSecond) => bytesPerSecond is null or (>= LeastBytesPerSecond and <= MostBytesPerSecond);

    /// <summary>In the largest unit that says it exactly.</summary>
    public static string Text(long? bytesPerSecond)
    {
        if (bytesPerSecond is not { } bytes) return Unlimited;
        foreach (var (unit, factor) in Units)
            if (bytes % factor == 0) return string.Create(CultureInfo.InvariantCulture, $"{bytes / factor}{unit}");
        return string.Create(CultureInfo.InvariantCulture, $"{bytes / (double)(1 << 20):F1}MiB/s");
    }
}

/// <summary>Another bandwidth, for a migration or for a node's outgoing transfers together.</summary>
/// <param name="MaxBytesPerSecond">null: no limit.</param>
public sealed record BandwidthRequest(long? MaxBytesPerSecond);
