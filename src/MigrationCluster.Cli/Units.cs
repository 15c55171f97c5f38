using System.Globalization;

namespace MigrationCluster.Cli;

/// <summary>Quantities as operators write them: a whole number and its unit, nothing guessed.</summary>
public static class Units
{
    public const string DurationForm = "a whole number with ms or s, e.g. 300ms or 1s";
    public const string SizeForm = "a whole number with MiB or GiB, e.g. 512MiB or 1GiB";
    public const string RateForm = "a whole number with MiB/s or GiB/s, e.g. 100MiB/s";

    public static bool TryDuration(string text, out TimeSpan value)
    {
        value = default;
        if (!TrySplit(text, out long number, out string unit)) return false;
        if (unit is not ("ms" or "s") || number > 86_400_000) return false;
        value = unit == "ms" ? TimeSpan.FromMilliseconds(number) : TimeSpan.FromSeconds(number);
        return true;
    }

    public static bool TrySizeMiB(string text, out int mebibytes) => TryMebi(text, "", out mebibytes);

    public static bool TryRateMiBps(string text, out int mebibytesPerSecond) =>
        TryMebi(text, "/s", out mebibytesPerSecond);

    private static bool TryMebi(string text, string suffix, out int mebibytes)
    {
        mebibytes = 0;
        if (!TrySplit(text, out long number, out string unit)) return false;
        long factor = unit == "MiB" + suffix ? 1 : unit == "GiB" + suffix ? 1024 : 0;
        if (factor == 0 || number > int.MaxValue / factor) return false;
        mebibytes = (int)(number * factor);
        return true;
    }

    private static bool TrySplit(string text, out long number, out string unit)
    {
        int digits = text.AsSpan().IndexOfAnyExceptInRange('0', '9');
        unit = digits > 0 ? text[digits..] : "";
        number = 0;
        return digits > 0 &&
            long.TryParse(text.AsSpan(0, digits), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }
}
