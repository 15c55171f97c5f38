using System.Globalization;
using System.Net;
using System.Text;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>The report as one page without anything from elsewhere: for every guest a lane of who was seen to run it, with its migrations and their
/// downtimes, and under them every fault from its strike to its undoing.</summary>
internal static class HtmlReport
{
    private const int Left = 90;
    private const int Width = 1400;
    private static readonly string[] Colours = ["#4c78a8", "#72b7b2", "#eeca3b", "#b279a2", "#9d755d", "#bab0ac"];

    public static string Write(ChaosReport report)
    {
        double end = Math.Max(1, Enumerable.Max([
            report.HealedAt, .. report.Migrations.Select(line => line.To ?? line.From), .. report.Struck.Select(one => one.To), .. report.Owned.Select(one => one.At)]));
        double X(double at) => Left + Math.Clamp(at, 0, end) / end * (Width - Left - 10);
        var svg = new StringBuilder();
        int y = 20;
        void Box(double from, double to, int top, int height, string colour, string title) => svg.AppendLine(string.Create(CultureInfo.InvariantCulture,
            $"<rect x='{X(from):F1}' y='{top}' width='{Math.Max(1.5, X(to) - X(from)):F1}' height='{height}' fill='{colour}'><title>{WebUtility.HtmlEncode(title)}</title></rect>"));
        void Label(string text, int top) => svg.AppendLine($"<text x='4' y='{top}'>{WebUtility.HtmlEncode(text)}</text>");

        foreach (string guest in report.Settings.GuestNames)
        {
            Label(guest, y + 14);
            var owned = report.Owned.Where(one => one.Guest == guest).ToList();
            for (int i = 0; i < owned.Count; i++)
                if (owned[i].Host is { } host)
                    Box(owned[i].At, i + 1 < owned.Count ? owned[i + 1].At : end, y, 18, Colour(report, host), $"{guest} runs on {host} from {owned[i].At:F1} s");
            foreach (var line in report.Migrations.Where(line => line.Guest == guest))
            {
                Box(line.From, line.To ?? end, y + 20, 8, Outcome(line.Outcome),
                    $"{line.Id} {line.Source} to {line.Destination}: {line.Outcome} {string.Join("; ", line.Reasons)}");
                if (line is { PausedAt: { } paused, DowntimeMs: { } downtime })
                    Box(paused, paused + downtime / 1000, y + 30, 5, "#000", string.Create(CultureInfo.InvariantCulture, $"downtime {downtime:F0} ms"));
            }

            y += 42;
        }

        foreach (var kind in report.Struck.GroupBy(one => one.Fault).OrderBy(group => group.Key, StringComparer.Ordinal))
        {
            Label(kind.Key, y + 10);
            foreach (var one in kind) Box(one.From, one.To, y, 11, "#e45756", one.What);
            y += 15;
        }

        foreach (var finding in report.Findings) Box(finding.At, finding.At, 10, y, "#f00", $"{finding.Invariant}: {finding.Detail}");
        svg.AppendLine(string.Create(CultureInfo.InvariantCulture,
            $"<line x1='{X(report.HealedAt):F1}' x2='{X(report.HealedAt):F1}' y1='10' y2='{y}' stroke='#080'/><text x='{X(report.HealedAt):F1}' y='{y + 12}'>healed</text>"));
        string legend = string.Concat(report.Settings.Hosts.Select(host => $"<b style='color:{Colour(report, host)}'>&#9632; {host}</b> "));
        return $$"""
            <!doctype html><html lang="en"><meta charset="utf-8"><title>mc-chaos: {{report.Verdict}}, seed {{report.Settings.Seed}}</title>
            <style>body{font:14px sans-serif;margin:1em} pre{background:#f4f4f4;padding:.7em} text{font:11px sans-serif}</style>
            <h1>{{report.Verdict}}</h1><pre>{{WebUtility.HtmlEncode(report.Text())}}</pre>
            <p>{{legend}} thin bars: <b style="color:#54a24b">completed</b>, <b style="color:#f58518">rolled back or refused</b>, <b style="color:#d00">guest lost</b>; black: downtime; red lanes: faults. Hover for more.</p>
            <svg width="{{Width}}" height="{{y + 20}}">{{svg}}</svg></html>
            """;
    }

    private static string Colour(ChaosReport report, string host) => Colours[report.Settings.Hosts.ToList().IndexOf(host) % Colours.Length];

    private static string Outcome(string outcome) => outcome switch
    {
        Api.Outcomes.Completed => "#54a24b",
        Api.Outcomes.GuestLost => "#d00",
        _ => "#f58518",
    };
}
