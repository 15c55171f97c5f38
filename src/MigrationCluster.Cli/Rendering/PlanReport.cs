using MigrationCluster.Api;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>A migration before it begins, for a person.</summary>
public static class PlanReport
{
    public static void Write(IAnsiConsole console, GuestPlanView plan)
    {
        string guest = plan.Guest.EscapeMarkup(), source = plan.Source.EscapeMarkup();
        console.MarkupLine(plan.Destination is { } destination
            ? $"[bold]{guest}[/]  {source} → {destination.EscapeMarkup()}: [green]it can go[/]"
            : $"[bold]{guest}[/]  stays on {source}: [red]it cannot go[/]");
        WriteHosts(console, plan);
        if (plan.Hosts.Count == 0) CompatReport.Lines(console, ReasonLines.Of(plan.Blockers));
        if (plan.Quiesce is { } quiesce) WriteQuiesce(console, quiesce);
        if (plan.Forecast is { } forecast) WriteForecast(console, plan, forecast);
        if (plan.Id is not { } id) return;
        console.WriteLine();
        console.MarkupLine($"[bold]Plan[/]  {id}  [grey](inventory {plan.InventoryVersion})[/]");
        console.MarkupLine($"  `migctl migrate {guest} --plan {id}` does it, unless any of this has changed by then");
    }

    private static void WriteHosts(IAnsiConsole console, GuestPlanView plan)
    {
        foreach (var host in plan.Hosts)
        {
            string rank = host.Rank is { } place ? $"{host.Verdict}, rank {place}" : host.Verdict;
            CompatReport.Lines(console, [$"  {host.Host,-16} {rank}"]);
            CompatReport.Lines(console, ReasonLines.Of(host.Reasons, "    "));
        }
    }

    private static void WriteQuiesce(IAnsiConsole console, PlannedQuiesceView quiesce)
    {
        console.WriteLine();
        console.MarkupLine("[bold]Quiesce[/]  " + (quiesce.Groups.Count == 0
            ? "every device is alone"
            : "together: " + string.Join("; ", quiesce.Groups.Select(group => string.Join(", ", group))).EscapeMarkup()));
        foreach (var stage in quiesce.Steps.GroupBy(step => step.Stage))
        {
            string members = string.Join(", ", stage.Where(step => step.Device is not null).Select(step => step.Device));
            string limit = stage.FirstOrDefault(step => step.LimitMs is not null)?.LimitMs is { } ms ? $"  at most {Figures.Time(ms)} each" : "";
            CompatReport.Lines(console, [$"  {stage.Key,-16} {(members.Length > 0 ? members : "all")}{limit}"]);
        }

        CompatReport.Lines(console, [.. quiesce.Costs.Select(cost => $"  {cost}")]);
    }

    private static void WriteForecast(IAnsiConsole console, GuestPlanView plan, ForecastView forecast)
    {
        var downtime = forecast.Downtime;
        console.WriteLine();
        console.MarkupLine($"[bold]Predicted[/]  {Figures.Time(forecast.TotalP50Ms)} in all, p95 {Figures.Time(forecast.TotalP95Ms)}, " +
            $"{forecast.Passes} passes of pre-copy");
        console.MarkupLine($"  downtime {Figures.Ms(downtime.P50Ms)}, p95 {Figures.Ms(downtime.P95Ms)}, p99 {Figures.Ms(downtime.P99Ms)}" +
            $"  (limit {plan.MaxDowntimeMs} ms), {Figures.Bytes(downtime.FinalBytes)} sent in it");
        CompatReport.Lines(console, [$"  {"",-14}{"p50",9}{"p95",9}"]);
        foreach (var part in downtime.Components)
            CompatReport.Lines(console, [$"  {part.Component,-14}{Figures.Ms(part.P50Ms),9}{Figures.Ms(part.P95Ms),9}"]);
        if (forecast.Stall is { } stall) WriteStall(console, stall, forecast.GivesUp);
        CompatReport.Lines(console, [.. forecast.Basis.Select(basis => $"  by: {basis}")]);
    }

    private static void WriteStall(IAnsiConsole console, StallView stall, bool givesUp)
    {
        console.MarkupLine(givesUp ? "[yellow]  It would end without moving the guest:[/]" : "[yellow]  The limit would not be kept to:[/]");
        CompatReport.Lines(console, [$"    {stall.Bottleneck}", .. stall.Remedies.Select(remedy => $"    - {remedy}")]);
    }
}
