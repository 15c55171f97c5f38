using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>What the demo found out, and the one document of `demo --output json`.</summary>
/// <param name="State">the migration's outcome; error or interrupted when it did not come to one.</param>
/// <param name="Verified">the guest moved, found nothing wrong with itself before and after, and every device is identical.</param>
/// <param name="Downtime">milliseconds by component.</param>
/// <param name="Iterations">passes of pre-copy; <paramref name="Passes"/> has them one by one.</param>
/// <param name="LeftBehind">what could not be removed from this machine; empty normally.</param>
public sealed record DemoResult(
    string State,
    bool Verified,
    string? Migration,
    string Guest,
    string Source,
    string Destination,
    int MaxDowntimeMs,
    double? DowntimeMs,
    double? PredictedDowntimeMs,
    double? TotalMs,
    IReadOnlyDictionary<string, double>? Downtime,
    int? Iterations,
    IReadOnlyList<IterationView>? Passes,
    BytesView? Bytes,
    double? ThroughputBytesPerSecond,
    DemoSelfCheck? GuestSelfCheck,
    IReadOnlyList<DeviceReportView> Devices,
    IReadOnlyList<Reason> Reasons,
    ApiError? Error,
    IReadOnlyList<string> LeftBehind)
{
    public static DemoResult Of(
        DemoSettings settings, string state, MigrationView? migration, DemoSelfCheck? check, ApiError? error,
        IReadOnlyList<string> leftBehind)
    {
        var report = migration?.Report;
        return new DemoResult(
            state,
            IsVerified(settings, migration, check) && error is null,
            migration?.Id,
            DemoSettings.Guest,
            DemoSettings.Source,
            DemoSettings.Destination,
            (int)settings.MaxDowntime.TotalMilliseconds,
            report?.DowntimeMs,
            report?.PredictedDowntimeMs,
            report?.TotalMs,
            report?.Downtime.GroupBy(part => part.Component).ToDictionary(group => group.Key, group => group.Sum(part => part.Ms)),
            report?.Iterations.Count,
            report?.Iterations,
            report?.Bytes,
            report?.ThroughputBytesPerSecond,
            check,
            report?.Devices ?? [],
            migration?.Reasons ?? [],
            error,
            leftBehind);
    }

    /// <summary>Every device that was asked for has to be there: one the report forgot is not identical.</summary>
    private static bool IsVerified(DemoSettings settings, MigrationView? migration, DemoSelfCheck? check) =>
        migration is { Outcome: Outcomes.Completed, Report: { } report } &&
        check is { Clean: true } &&
        settings.Devices().All(device => report.Devices.Any(said => said.Name == device.Name && said.Identical));
}
