namespace MigrationCluster.Cli.Commands;

/// <summary>The options with units, and their ranges.</summary>
public static class UnitOptions
{
    /// <summary>A source waits 10 s paused before it keeps its guest: a longer limit could not be used.</summary>
    private static readonly TimeSpan LongestDowntime = TimeSpan.FromSeconds(10);

    public static UnitOption<TimeSpan> MaxDowntime() => new(
        "--max-downtime", "300ms", Units.DurationForm, Units.TryDuration,
        "1ms to 10s", value => value > TimeSpan.Zero && value <= LongestDowntime)
    {
        Description = "longest blackout to accept; pre-copy goes on until the predicted p99 fits",
        HelpName = "TIME",
    };

    public static UnitOption<TimeSpan?> MaxPreCopy() => new(
        "--max-time", "none", "a time like 60s, or none", TryDurationOrNone, "1ms to 86400s, or none",
        value => value is null || (value > TimeSpan.Zero && value <= TimeSpan.FromDays(1)))
    {
        Description = "longest that pre-copy may take",
        HelpName = "TIME",
    };

    private static bool TryDurationOrNone(string text, out TimeSpan? value)
    {
        value = null;
        if (text == "none") return true;
        if (!Units.TryDuration(text, out var time)) return false;
        value = time;
        return true;
    }

    /// <summary>A day: for one watching it is for ever.</summary>
    public static UnitOption<TimeSpan> WatchLimit() => new(
        "--limit", "86400s", Units.DurationForm, Units.TryDuration, "1ms to 86400s",
        value => value > TimeSpan.Zero && value <= TimeSpan.FromDays(1))
    {
        Description = "stop watching after this; exit code 7 when it is not over by then",
        HelpName = "TIME",
    };

    /// <param name="description">whose it is.</param>
    public static UnitOption<long?> Bandwidth(string description) => new(
        "--bandwidth", Api.Bandwidth.Unlimited, Api.Bandwidth.Form, Api.Bandwidth.TryRead, Api.Bandwidth.Range, Api.Bandwidth.IsInRange)
    {
        Description = description,
        HelpName = "RATE",
    };

    public static UnitOption<int> Memory() => new(
        "--memory", "1GiB", Units.SizeForm, Units.TrySizeMiB, "64MiB to 1024GiB", value => value is >= 64 and <= 1 << 20)
    {
        Description = "RAM of the guest",
        HelpName = "SIZE",
    };

    public static UnitOption<int> DirtyRate() => new(
        "--dirty-rate", "100MiB/s", Units.RateForm, Units.TryRateMiBps,
        "1MiB/s to 100GiB/s", value => value is >= 1 and <= 100 << 10)
    {
        Description = "what the guest's vCPUs write each second",
        HelpName = "RATE",
    };
}
