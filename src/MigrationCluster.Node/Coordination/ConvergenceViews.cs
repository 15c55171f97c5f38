using MigrationCluster.Api;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>Predictions, stalls and quiesce plans as operators see them.</summary>
internal static class ConvergenceViews
{
    /// <returns>null: there is none, or it has no end.</returns>
    public static PredictionView? Of(DowntimePrediction? prediction) => prediction is not { IsEndless: false } known ? null : new PredictionView(
        known.P50.TotalMilliseconds, known.P95.TotalMilliseconds, known.P99.TotalMilliseconds,
        [.. known.Components.Select(part => new PredictedComponentView(part.Name, part.P50Ms, part.P95Ms))], known.FinalBytes);

    public static StallView? Of(Stall? stall, int? iteration) => stall is null ? null
        : new StallView(stall.Cause.ToString(), stall.Bottleneck, stall.ReachableMs, stall.Remedies, iteration);

    public static PlannedQuiesceView Of(QuiescePlan plan) => new(
        plan.Groups, [.. plan.Costs],
        [.. plan.Steps.Select(step => new QuiesceStepView(step.Stage.ToString(), step.Device, step.Limit?.TotalMilliseconds))]);

    public static ForecastView Of(MigrationForecast forecast, GuestLoad load, LearnedCosts costs) => new(
        forecast.TotalP50.TotalMilliseconds, forecast.TotalP95.TotalMilliseconds,
        Of(forecast.Downtime) ?? new PredictionView(0, 0, 0, [], forecast.Downtime.FinalBytes), forecast.Passes,
        Of(forecast.Stall, null), forecast.GivesUp,
        [
            costs.Count == 0
                ? "no blackout was seen yet: what barriers, votes and devices cost is assumed"
                : $"barriers, votes and devices as in {costs.Count} earlier blackouts",
            costs.BytesPerSecond.Median > 0
                ? $"a link of {costs.BytesPerSecond.Median / (1 << 20):F0} MiB/s, as it was seen"
                : $"a link of {MigrationForecast.AssumedBytesPerSecond / (1 << 20):F0} MiB/s, assumed",
            load.Seen ? "the guest dirties its memory as in its last migration" : "the guest dirties its memory as its spec declares",
        ]);

    public static ConvergencePolicy Policy(MigrateRequest request) => new(
        TimeSpan.FromMilliseconds(request.MaxDowntimeMs),
        request.OnStall switch
        {
            StallActions.Throttle => StallAction.Throttle,
            StallActions.Switch => StallAction.Switch,
            _ => StallAction.Abort,
        },
        request.MaxIterations ?? ConvergencePolicy.DefaultIterations,
        request.MaxPreCopyMs is { } ms ? TimeSpan.FromMilliseconds(ms) : null);
}
