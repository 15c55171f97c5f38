using MigrationCluster.Api;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>How a migration went, for a person: what it cost, where the blackout went, what each device says.</summary>
public static class MigrationReport
{
    private const int BarWidth = 32;

    public static void Write(IAnsiConsole console, MigrationView view)
    {
        console.MarkupLine(Headline(view));
        if (view.Doubt is { } doubt)
        {
            Line(console, $"  since {doubt.Since:yyyy-MM-dd HH:mm:ss'Z'}: {doubt.Why}");
            Line(console, $"  {doubt.Resolution}");
        }
        CompatReport.Lines(console, ReasonLines.Of(view.Reasons));
        if (view.Progress.Stall is { } stall) WriteStall(console, stall);
        if (view.Plan is { } plan) WritePlan(console, view, plan);
        if (view.Report is not { } report) return;
        foreach (string residue in report.Residue) Line(console, $"  left behind on {view.Source}: {residue}");
        WriteDowntime(console, view, report);
        WriteIterations(console, report);
        WriteBytes(console, report);
        WriteDevices(console, view, report);
    }

    private static string Headline(MigrationView view)
    {
        string guest = view.Guest.EscapeMarkup();
        (string source, string destination) = (view.Source.EscapeMarkup(), view.Destination.EscapeMarkup());
        string kept = $"{guest} runs on {source} as before";
        string what = view.Outcome switch
        {
            Outcomes.Completed when ExitCodes.HasResidue(view) =>
                $"[yellow]Completed with residue[/]: {guest} runs on {destination}, {source} could not release everything",
            Outcomes.Completed => $"[green]Completed[/]: {guest} runs on {destination}",
            Outcomes.Refused => $"[yellow]Refused[/]: {kept}",
            Outcomes.Aborted => $"[yellow]Aborted[/] by a limit: {kept}",
            Outcomes.Cancelled => $"[yellow]Cancelled[/]: {kept}",
            Outcomes.Failed => $"[red]Failed[/]: {kept}",
            Outcomes.GuestLost => $"[red]Guest lost[/]: no complete copy of {guest} is left",
            Outcomes.InDoubt => $"[red]In doubt[/]: nobody can say now who may run {guest}",
            _ => $"{view.Phase.EscapeMarkup()}: {guest} is on its way from {source} to {destination}",
        };
        return view.Report is { } report ? $"{what}  [grey]({Figures.Seconds(report.TotalMs)} in all)[/]" : what;
    }

    private static void WritePlan(IAnsiConsole console, MigrationView view, PlanView plan)
    {
        if (plan.UnknownAcceptedBy is { } name)
        {
            Line(console, plan.Unknown.Count == 0
                ? $"  {name} accepted what might be unknown; nothing was"
                : $"  {name} accepted what was unknown:");
            CompatReport.Lines(console, ReasonLines.Of(plan.Unknown, "    "));
        }
        if (plan.PlainAcceptedBy is { } plain) Line(console, $"  {plain} had guest RAM and device state travel unsealed");
        foreach (string cost in plan.Quiesce?.Costs ?? []) Line(console, $"  {cost}");
        foreach (var dropped in plan.Dropped)
            Line(console, $"  {view.Destination} drops optional state of {dropped.Device}: {string.Join(", ", dropped.Sections)}");
    }

    private static void WriteStall(IAnsiConsole console, StallView stall)
    {
        Line(console, $"  {PlainProgress.Describe(stall)}");
        foreach (string remedy in stall.Remedies) Line(console, $"    - {remedy}");
    }

    private static void WriteDowntime(IAnsiConsole console, MigrationView view, ReportView report)
    {
        console.WriteLine();
        console.MarkupLine($"[bold]Downtime {Figures.Ms(report.DowntimeMs)}[/]" +
            $"  (limit {view.MaxDowntimeMs} ms, predicted {Figures.Ms(report.PredictedDowntimeMs)}" +
            $"{(report.Predicted is { } whole ? $", p95 {Figures.Ms(whole.P95Ms)}, p99 {Figures.Ms(whole.P99Ms)}" : "")})");
        if (report.Predicted is not null) Line(console, $"  {"",-14}{"took",9}{"predicted",11}");
        double largest = report.Downtime.Select(part => part.Ms).DefaultIfEmpty().Max();
        foreach (var part in report.Downtime)
        {
            string predicted = report.Predicted is null ? "" : $"{(part.PredictedMs is { } ms ? Figures.Ms(ms) : "-"),11}";
            console.MarkupLine($"  {part.Component.EscapeMarkup(),-14}{Figures.Ms(part.Ms),9}{predicted}  " +
                $"[blue]{Figures.Bar(part.Ms, largest, BarWidth)}[/]");
        }
    }

    private static void WriteIterations(IAnsiConsole console, ReportView report)
    {
        console.WriteLine();
        console.MarkupLine($"[bold]Pre-copy in {report.Iterations.Count} iterations[/]");
        Line(console, $"  {"pass",4}{"pages",12}{"sent",12}{"time",10}{"speed",12}{"dirtied at",12}");
        foreach (var pass in report.Iterations)
        {
            double speed = pass.Ms > 0 ? pass.Bytes / (pass.Ms / 1000) : 0;
            Line(console, $"  {pass.Iteration,4}{Figures.Count(pass.Pages),12}{Figures.Bytes(pass.Bytes),12}" +
                $"{Figures.Time(pass.Ms),10}{Figures.Rate(speed),12}{Figures.Rate(pass.DirtyBytesPerSecond),12}");
        }
    }

    private static void WriteBytes(IAnsiConsole console, ReportView report)
    {
        var bytes = report.Bytes;
        console.WriteLine();
        console.MarkupLine($"[bold]Bytes[/]  (throughput {Figures.Rate(report.ThroughputBytesPerSecond)})");
        Line(console, $"  {"pages",-14}{Figures.Bytes(bytes.Pages),12}");
        Line(console, $"  {"device state",-14}{Figures.Bytes(bytes.DeviceState),12}");
        Line(console, $"  {"protocol",-14}{Figures.Bytes(bytes.Protocol),12}");
        Line(console, $"  {"zero pages",-14}{Figures.Bytes(bytes.ZeroPages),12}  (not sent)");
        if (report.Resumed > 0)
            Line(console, $"  {"sent again",-14}{Figures.Bytes(bytes.Resent),12}  (resumed {report.Resumed} times)");
        if (report.RamDigest is { } hash)
            Line(console, $"  all of RAM was compared before any vote: the same on both hosts (SHA-256 {Sum(hash)})");
    }

    private static void WriteDevices(IAnsiConsole console, MigrationView view, ReportView report)
    {
        if (report.Devices.Count == 0) return;
        console.WriteLine();
        console.MarkupLine("[bold]Devices[/]");
        int width = report.Devices
            .SelectMany(device => new[] { Sum(device.SourceChecksum), Sum(device.DestinationChecksum) })
            .Append(view.Source).Append(view.Destination).Max(text => text.Length) + 2;
        Line(console, $"  {"name",-10}{"model",-8}{"state",12}  " +
            $"{view.Source.PadRight(width)}{view.Destination.PadRight(width)}".TrimEnd());
        foreach (var device in report.Devices)
        {
            string row = $"  {device.Name,-10}{device.Model,-8}{Figures.Bytes(device.StateBytes),12}  " +
                Sum(device.SourceChecksum).PadRight(width) + Sum(device.DestinationChecksum).PadRight(width);
            console.MarkupLine(row.EscapeMarkup() + (device.Identical ? "[green]identical[/]" : "[red]DIFFERENT[/]"));
        }
    }

    /// <summary>Enough of a checksum to compare by eye; `--output json` has all of it.</summary>
    private static string Sum(string checksum) =>
        checksum.Length == 0 ? "-" : checksum.Length <= 16 ? checksum : checksum[..16] + "…";

    private static void Line(IAnsiConsole console, string text) => console.MarkupLine(text.EscapeMarkup());
}
