using System.Text.Json.Serialization;

namespace MigrationCluster.Api;

/// <param name="To">the host to move it to; null: the best of all hosts that can take it.</param>
/// <param name="MaxDowntimeMs">what the predicted p99 of the blackout must fit.</param>
/// <param name="AcceptUnknownBy">the operator who takes it upon himself that nobody can tell whether a device fits; null: then it is refused.</param>
/// <param name="AcceptPlainBy">the operator who has guest RAM and device state travel unsealed; null: between machines they are sealed.</param>
/// <param name="VerifyFull">have both hosts compare a hash of all of guest RAM before either votes, with the machine paused.</param>
/// <param name="MaxBytesPerSecond">of the transfer while the guest runs, see <see cref="Bandwidth"/>; null: as fast as it can.</param>
/// <param name="OnStall">see <see cref="StallActions"/>; null: abort.</param>
/// <param name="MaxIterations">passes of pre-copy, 1 to 1000; null: 30.</param>
/// <param name="MaxPreCopyMs">that pre-copy may take; null: no limit but that of passes.</param>
/// <param name="Plan">a <see cref="GuestPlanView.Id"/>: refuse if anything that it was made under has changed; null: plan now.</param>
public sealed record MigrateRequest(
    string Guest,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? To = null,
    int MaxDowntimeMs = 300,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? AcceptUnknownBy = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? AcceptPlainBy = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] bool VerifyFull = false,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? MaxBytesPerSecond = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? OnStall = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] int? MaxIterations = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? MaxPreCopyMs = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Plan = null);

/// <summary>A migration's end; <see cref="Running"/> until then.</summary>
public static class Outcomes
{
    public const string Running = "running";
    public const string Completed = "completed";

    /// <summary>The hosts or devices do not fit; no source device left Running.</summary>
    public const string Refused = "refused";

    /// <summary>A limit was reached (no convergence, a deadline); the guest runs on the source.</summary>
    public const string Aborted = "aborted";

    /// <summary>Something broke before the decision; the guest runs on the source.</summary>
    public const string Failed = "failed";
    public const string Cancelled = "cancelled";

    /// <summary>Not an end: see <see cref="DoubtView"/>.</summary>
    public const string InDoubt = "in-doubt";
    public const string GuestLost = "guest-lost";

    /// <summary>Which of <see cref="Refused"/>, <see cref="Aborted"/> and <see cref="Failed"/> a rolled-back migration is.</summary>
    /// <param name="refused">it ended by a refusal at save_setup.</param>
    /// <param name="codes">of all its reasons. A limit reached because something broke is a failure.</param>
    public static string OfRollback(bool refused, IReadOnlyList<string> codes) =>
        refused ? Refused : codes.Count > 0 && codes.All(IsLimit) ? Aborted : Failed;

    private static bool IsLimit(string code) =>
        code is "pre-copy.no-convergence" or "migration.deadline" or "guest.kept-itself";
}

/// <param name="Version">grows with every change; what a watcher passes back.</param>
/// <param name="Phase">Planning, Preparing, Negotiating, PreCopy, Quiescing, StopAndCopy, Verifying, Committing,
/// Resuming, Completed, RollingBack, Failed, Cancelled, InDoubt.</param>
/// <param name="Outcome">see <see cref="Outcomes"/>.</param>
/// <param name="Reasons">why it failed, or what was left behind (residue) although the guest moved.</param>
/// <param name="DiscardedBytes">pages and device state that the destination had taken in and threw away, by its data plane's counters;
/// 0 after a refusal; null: it threw nothing away, or lost count.</param>
/// <param name="MaxBytesPerSecond">of the transfer while the guest runs, as an operator chose it last; null: no limit of its own.</param>
/// <param name="Doubt">why nobody can say now who may run the guest; null: it is known.</param>
public sealed record MigrationView(
    string Id,
    long Version,
    string Guest,
    string Source,
    string Destination,
    string Phase,
    string Outcome,
    ulong Epoch,
    int MaxDowntimeMs,
    DateTimeOffset StartedAt,
    DateTimeOffset? EndedAt,
    IReadOnlyList<PhaseView> Phases,
    ProgressView Progress,
    IReadOnlyList<Reason> Reasons,
    ReportView? Report,
    PlanView? Plan = null,
    long? DiscardedBytes = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] DoubtView? Doubt = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? MaxBytesPerSecond = null);

/// <summary>The row that decides cannot be read, and both hosts are held until it can. It ends by itself.</summary>
/// <param name="Resolution">what ends it.</param>
public sealed record DoubtView(DateTimeOffset Since, string Why, string Resolution);

/// <summary>What planning and save_setup found besides reasons to refuse.</summary>
/// <param name="UnknownAcceptedBy">the operator who accepted what nobody could tell; null: nobody did.</param>
/// <param name="Unknown">what he accepted.</param>
/// <param name="Dropped">optional state sections that the destination does not know and drops; the real device's word where it was asked.</param>
/// <param name="NoWayBack">why the guest could not come back to its source; empty: it could.</param>
/// <param name="PassedOver">every other host, where the destination was searched for.</param>
/// <param name="Quiesce">null: planned by an earlier release.</param>
/// <param name="PlainAcceptedBy">the operator who had guest RAM travel unsealed; null: nobody did.</param>
public sealed record PlanView(
    string? UnknownAcceptedBy,
    IReadOnlyList<Reason> Unknown,
    IReadOnlyList<DroppedSectionsView> Dropped,
    IReadOnlyList<Reason> NoWayBack,
    IReadOnlyList<PassedOverView> PassedOver,
    QuiesceView? Quiesce = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? PlainAcceptedBy = null);

/// <summary>How the guest's devices come to a stand.</summary>
/// <param name="Groups">devices that do P2P DMA and quiesce together; empty: every device is alone.</param>
/// <param name="Costs">a sentence for every P2P edge that is unmapped for the downtime.</param>
public sealed record QuiesceView(IReadOnlyList<IReadOnlyList<string>> Groups, IReadOnlyList<string> Costs);

public sealed record DroppedSectionsView(string Device, IReadOnlyList<string> Sections);

/// <param name="Rank">its place among the hosts that could take the guest, from 1; null: it could not.</param>
/// <param name="Reasons">why it could not; empty: it could, and ranks lower.</param>
public sealed record PassedOverView(string Host, int? Rank, IReadOnlyList<Reason> Reasons);

/// <param name="StartMs">since the migration's start.</param>
public sealed record PhaseView(string Phase, double StartMs);

/// <param name="Iteration">pass of pre-copy, from 1; 0 before the first.</param>
/// <param name="RemainingBytes">of this pass.</param>
/// <param name="Passes">the passes that are over.</param>
/// <param name="Stall">as the last pass found it; null: pre-copy gets the downtime under its limit.</param>
/// <param name="ResentBytes">of <paramref name="TransferredBytes"/>: what was under way when connections were lost, and so was sent again.</param>
public sealed record ProgressView(
    int Iteration,
    long RemainingBytes,
    long TransferredBytes,
    double BandwidthBytesPerSecond,
    double DirtyBytesPerSecond,
    IReadOnlyList<DeviceProgressView> Devices,
    IReadOnlyList<IterationView>? Passes = null,
    long ResentBytes = 0,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] StallView? Stall = null);

/// <param name="State">the VFIO device state on the source.</param>
/// <param name="RemainingBytes">as the device estimates; null when it cannot tell.</param>
public sealed record DeviceProgressView(string Name, string State, long TransferredBytes, long? RemainingBytes);

/// <param name="DowntimeMs">machine paused on the source to machine resumed on the destination.</param>
/// <param name="Downtime">its components in order; they add up to <paramref name="DowntimeMs"/>.</param>
/// <param name="Residue">what could not be released on the source; empty normally.</param>
/// <param name="Resumed">how often the transfer went on over new connections after it had lost them, to the network or to a daemon's end.</param>
/// <param name="PredictedDowntimeMs">the median.</param>
/// <param name="Predicted">when the switchover began; null: by an earlier release.</param>
/// <param name="RamDigest">hash of all of guest RAM, the same on both hosts before either voted; null: nobody asked for it.</param>
public sealed record ReportView(
    double TotalMs,
    double DowntimeMs,
    IReadOnlyList<DowntimeComponentView> Downtime,
    IReadOnlyList<IterationView> Iterations,
    BytesView Bytes,
    double ThroughputBytesPerSecond,
    double PredictedDowntimeMs,
    IReadOnlyList<DeviceReportView> Devices,
    IReadOnlyList<string> Residue,
    int Resumed = 0,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? RamDigest = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] PredictionView? Predicted = null);

/// <param name="Component">quiesce, stop, final-bitmap, final-pages, device-state, load, verify, yield, commit, resume.</param>
/// <param name="PredictedMs">median; null: not predicted by component.</param>
public sealed record DowntimeComponentView(
    string Component, double Ms, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? PredictedMs = null);

/// <param name="Bytes">page and device bytes sent in this pass.</param>
/// <param name="RemainingBytes">dirtied while it ran: what the next pass, or the blackout, has to send.</param>
/// <param name="PredictedDowntimeMs">median, had the switchover begun with its end; null: by an earlier release, or without end.</param>
/// <param name="ThrottlePercent">by how much the vCPUs were slowed.</param>
public sealed record IterationView(
    int Iteration, long Pages, long Bytes, double Ms, double DirtyBytesPerSecond, long RemainingBytes = 0,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? PredictedDowntimeMs = null,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] int ThrottlePercent = 0);

/// <param name="Pages">bytes of non-zero pages.</param>
/// <param name="ZeroPages">bytes of guest RAM that needed no sending: holes and zero pages.</param>
/// <param name="Protocol">headers and acknowledgements.</param>
/// <param name="Resent">of pages and device state: what was under way when connections were lost, and so was sent again.</param>
public sealed record BytesView(long Pages, long ZeroPages, long DeviceState, long Protocol, long Resent = 0);

/// <param name="Identical">checksums of content (or of the whole stream, where the device has none) agree.</param>
public sealed record DeviceReportView(
    string Name, string Model, long StateBytes, string SourceChecksum, string DestinationChecksum, bool Identical);
