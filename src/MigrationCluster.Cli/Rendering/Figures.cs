namespace MigrationCluster.Cli.Rendering;

/// <summary>Numbers as a person reads them.</summary>
public static class Figures
{
    public static string Bytes(long bytes) => bytes switch
    {
        < 1L << 10 => $"{bytes} B",
        < 1L << 20 => $"{bytes / 1024.0:F1} KiB",
        < 1L << 30 => $"{bytes / 1048576.0:F1} MiB",
        _ => $"{bytes / 1073741824.0:F2} GiB",
    };

    public static string Rate(double bytesPerSecond) => $"{bytesPerSecond / 1048576:F0} MiB/s";

    public static string Ms(double ms) => ms < 9.95 ? $"{ms:F1} ms" : $"{ms:F0} ms";

    public static string Seconds(double ms) => $"{ms / 1000:F1} s";

    /// <summary>A length of time that may be short or long.</summary>
    public static string Time(double ms) => ms < 1000 ? Ms(ms) : Seconds(ms);

    public static string Count(long count) => count.ToString("#,0", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>A bar of eighths: never empty for a share that is not.</summary>
    public static string Bar(double value, double largest, int width)
    {
        if (value <= 0 || largest <= 0) return "";
        int eighths = Math.Max(1, (int)Math.Round(value / largest * width * 8));
        string whole = new('█', eighths / 8);
        return eighths % 8 == 0 ? whole : whole + " ▏▎▍▌▋▊▉"[eighths % 8];
    }
}
