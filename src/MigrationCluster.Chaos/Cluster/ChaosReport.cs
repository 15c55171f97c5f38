using System.Globalization;
using System.Text;
using MigrationCluster.Api;
using MigrationCluster.Chaos.Cluster.Judging;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>What a run came to; report.json holds it whole.</summary>
/// <param name="Verdict">held, violated or interrupted.</param>
/// <param name="Disorder">what went wrong besides invariants: stuck guests, daemons that ended badly, faults that could not be undone, leftovers.</param>
/// <param name="Outcomes">migrations by how they ended.</param>
/// <param name="Downtimes">milliseconds of completed migrations, ascending.</param>
internal sealed record ChaosReport(
    string Verdict, ChaosSettings Settings, DateTimeOffset StartedAt, double HealedAt, IReadOnlyList<Strike> Schedule,
    IReadOnlyList<Struck> Struck, IReadOnlyList<MigrationLine> Migrations, IReadOnlyDictionary<string, int> Outcomes,
    IReadOnlyDictionary<string, int> Refusals, IReadOnlyList<double> Downtimes, IReadOnlyList<Ownership> Owned,
    IReadOnlyList<Finding> Findings, IReadOnlyList<string> Disorder, int Checks, int Replaced, long Looks)
{
    public const string Held = "held";
    public const string Violated = "violated";
    public const string Interrupted = "interrupted";

    public static ChaosReport Of(
        ChaosSettings settings, DateTimeOffset started, double healedAt, bool interrupted, IReadOnlyList<Strike> schedule,
        IReadOnlyList<Struck> struck, IReadOnlyList<MigrationView> migrations,
        IReadOnlyList<Finding> findings, IReadOnlyList<string> disorder, Load load, Watcher watcher) => new(
            interrupted ? Interrupted : findings.Count + disorder.Count > 0 ? Violated : Held, settings, started, healedAt, schedule, struck,
            [.. migrations.Select(view => MigrationLine.Of(view, started)).OrderBy(line => line.From)],
            new SortedDictionary<string, int>(migrations.GroupBy(view => view.Outcome).ToDictionary(group => group.Key, group => group.Count())),
            load.Refusals, [.. migrations.Select(view => view.Report?.DowntimeMs).OfType<double>().Order()], watcher.Owned, findings, disorder,
            watcher.Checks, load.Replaced, watcher.Looks);

    /// <summary>Something that its maker alone could not see, such as leftovers: the run has not held.</summary>
    public ChaosReport With(IReadOnlyList<string> more) => more.Count == 0 ? this : this with
    {
        Disorder = [.. Disorder, .. more],
        Verdict = Verdict == Held ? Violated : Verdict,
    };

    public string Text()
    {
        var text = new StringBuilder();
        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
        Line($"{Verdict}: seed {Settings.Seed}, {Settings.Nodes} nodes, {Settings.Guests} guests, {Settings.Coordinators.Count} coordinators on {Settings.Engine}, {Settings.Minutes:F1} min, {(Settings.Namespaces ? "a network namespace each" : "all on loopback")}");
        Line($"migrations: {Migrations.Count} ({string.Join(", ", Outcomes.Select(pair => $"{pair.Key} {pair.Value}"))}); requests refused: {string.Join(", ", Refusals.Select(pair => $"{pair.Key} {pair.Value}"))}");
        Line($"faults: {Struck.Count} ({string.Join(", ", Struck.GroupBy(one => one.Fault).OrderBy(group => group.Key, StringComparer.Ordinal).Select(group => $"{group.Key} {group.Count()}"))})");
        foreach (var (fault, why) in Settings.LeftOut) Line($"left out: {fault}: {why}");
        Line($"downtime: {Quantile(0.5):F0} ms median, {Quantile(0.99):F0} ms p99, {Quantile(1):F0} ms most, of {Downtimes.Count}");
        Line($"judge: {Looks} looks at guests, {Checks} self-checks, {Findings.Count} violations; {Replaced} guests replaced that faults had killed");
        foreach (var finding in Findings) Line($"  {finding.At:F1} s {finding.Guest} {finding.Invariant}: {finding.Detail}");
        foreach (string trouble in Disorder) Line($"  {trouble}");
        return text.ToString();
    }

    private double Quantile(double share) => Downtimes.Count == 0 ? 0 : Downtimes[Math.Min(Downtimes.Count - 1, (int)(share * Downtimes.Count))];
}

/// <summary>One migration on the timeline; seconds since the run's start.</summary>
internal sealed record MigrationLine(
    string Id, string Guest, string Source, string Destination, string Phase, string Outcome, double From, double? To, double? PausedAt,
    double? DowntimeMs, IReadOnlyList<string> Reasons)
{
    public static MigrationLine Of(MigrationView view, DateTimeOffset started) => new(
        view.Id, view.Guest, view.Source, view.Destination, view.Phase, view.Outcome, (view.StartedAt - started).TotalSeconds,
        (view.EndedAt - started)?.TotalSeconds,
        view.Phases.FirstOrDefault(phase => phase.Phase == "StopAndCopy") is { } paused
            ? (view.StartedAt - started).TotalSeconds + paused.StartMs / 1000 : null,
        view.Report?.DowntimeMs, [.. view.Reasons.Select(reason => $"{reason.Code}: {reason.Message}")]);
}
