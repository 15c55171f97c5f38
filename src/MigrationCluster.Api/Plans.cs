using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <summary>A migration before it begins: where to, how, and what it will cost. Nothing was touched.</summary>
/// <param name="Id">for <see cref="MigrateRequest.Plan"/>, which refuses if the facts have changed; null: the guest cannot go.</param>
/// <param name="InventoryVersion">of the guest's devices and of what both hosts offer; the end of <paramref name="Id"/>.</param>
/// <param name="Destination">null: no host takes it.</param>
/// <param name="Hosts">every host that was looked at, the best first.</param>
/// <param name="Blockers">why it cannot go; empty: it can.</param>
/// <param name="Quiesce">null: it cannot go.</param>
/// <param name="Forecast">null: it cannot go.</param>
public sealed record GuestPlanView(
    string? Id,
    string? InventoryVersion,
    string Guest,
    string Source,
    string? Destination,
    int MaxDowntimeMs,
    IReadOnlyList<HostVerdictView> Hosts,
    IReadOnlyList<Reason> Blockers,
    PlannedQuiesceView? Quiesce,
    ForecastView? Forecast);

/// <param name="Verdict">see <see cref="Verdicts"/>.</param>
/// <param name="Rank">its place among those that take the guest, from 1; null: it does not.</param>
/// <param name="Reasons">why it does not.</param>
public sealed record HostVerdictView(string Host, string Verdict, int? Rank, IReadOnlyList<Reason> Reasons);

/// <param name="Groups">devices that quiesce together; empty: every device is alone.</param>
/// <param name="Costs">a sentence for every P2P edge that is unmapped for the downtime.</param>
/// <param name="Steps">in order; those of one stage go side by side.</param>
public sealed record PlannedQuiesceView(
    IReadOnlyList<IReadOnlyList<string>> Groups, IReadOnlyList<string> Costs, IReadOnlyList<QuiesceStepView> Steps);

/// <param name="Device">null: the machine, or all of what the stage is about.</param>
/// <param name="LimitMs">after which this member has failed; null: none of its own.</param>
public sealed record QuiesceStepView(string Stage, string? Device, double? LimitMs);

/// <param name="Downtime">see <see cref="PredictionView"/>.</param>
/// <param name="Passes">of pre-copy.</param>
/// <param name="Stall">what keeps it from its limit, and what would help; null: nothing does.</param>
/// <param name="GivesUp">the policy would end it without moving the guest.</param>
/// <param name="Basis">what the figures rest on, in words.</param>
public sealed record ForecastView(
    double TotalP50Ms, double TotalP95Ms, PredictionView Downtime, int Passes, StallView? Stall, bool GivesUp, IReadOnlyList<string> Basis);

/// <summary>A downtime before it has happened.</summary>
/// <param name="P50Ms">half of all would take no longer.</param>
/// <param name="FinalBytes">pages and device state sent in it.</param>
public sealed record PredictionView(
    double P50Ms, double P95Ms, double P99Ms, IReadOnlyList<PredictedComponentView> Components, long FinalBytes);

/// <param name="Component">quiesce, stop, final-bitmap, final-pages, device-state, load, verify, yield, commit, resume.</param>
public sealed record PredictedComponentView(string Component, double P50Ms, double P95Ms);

/// <summary>Pre-copy cannot bring the downtime under its limit.</summary>
/// <param name="Cause">DirtyRate, NoDirtyTracking, SlowDevice, CappedLink, FixedCosts.</param>
/// <param name="Bottleneck">in words, with its numbers.</param>
/// <param name="ReachableMs">what going on for ever would come to.</param>
/// <param name="Remedies">what each would do; one that cannot help says so.</param>
/// <param name="Iteration">in which it was first seen; null: before the first.</param>
public sealed record StallView(
    string Cause, string Bottleneck, double ReachableMs, IReadOnlyList<string> Remedies,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? Iteration = null);

/// <summary>What a migration does when pre-copy cannot bring the downtime under its limit.</summary>
public static class StallActions
{
    public const string Abort = "abort";
    public const string Throttle = "throttle";
    public const string Switch = "switch";

    public static readonly IReadOnlyList<string> All = [Abort, Throttle, Switch];
}
