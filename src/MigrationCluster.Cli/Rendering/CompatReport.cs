using MigrationCluster.Api;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>Answers to `migctl compat`, for a person.</summary>
public static class CompatReport
{
    public static void Write(IAnsiConsole console, CompatCheckView view)
    {
        console.MarkupLine($"[bold]{view.Guest.EscapeMarkup()}[/]  {view.Source.EscapeMarkup()} → {view.Host.EscapeMarkup()}: {Coloured(view.Verdict)}");
        var table = Listings.Plain("DEVICE", "CLASS", "VERDICT", "WAY BACK", "DECIDED BY");
        foreach (var device in view.Devices)
            Listings.Add(table, device.Device, device.Class, device.Verdict, device.Return ?? "-", device.Handler);
        console.Write(table);
        Lines(console, ReasonLines.Of(view.Reasons));
        foreach (var device in view.Devices) WriteDropped(console, device, view.Host);
        WriteNoWayBack(console, view.NoWayBack);
    }

    public static void Write(IAnsiConsole console, CompatExplainView view)
    {
        var device = view.Device;
        console.MarkupLine(
            $"[bold]{$"{view.Guest}/{device.Device}".EscapeMarkup()}[/]  class {device.Class.EscapeMarkup()}, " +
            $"{view.Source.EscapeMarkup()} → {view.Host.EscapeMarkup()}: {Coloured(device.Verdict)}  [grey](decided by {device.Handler.EscapeMarkup()})[/]");
        var table = Listings.Plain("", $"ON {view.Source}", $"OFFERED BY {view.Host}");
        foreach (var row in view.Rows) Listings.Add(table, row.What, row.Source, row.Destination);
        console.Write(table);
        Lines(console, ReasonLines.Of(device.Reasons));
        WriteDropped(console, device, view.Host);
        WriteNoWayBack(console, view.NoWayBack);
    }

    public static void Write(IAnsiConsole console, CompatBaselineView view)
    {
        console.MarkupLine((view.Reached
            ? $"[green]A device of class {view.Class.EscapeMarkup()} stays movable[/] to {view.Hosts.Count} hosts"
            : $"[yellow]No configuration of class {view.Class.EscapeMarkup()} reaches {view.MinTargets} hosts[/]; this one reaches {view.Hosts.Count}") +
            $": {string.Join(", ", view.Hosts).EscapeMarkup()}");
        if (view.Parameters.Count > 0)
        {
            var table = Listings.Plain("PARAMETER", "VALUE", "USUAL", "");
            foreach (var parameter in view.Parameters)
                Listings.Add(table, parameter.Name, parameter.Value, parameter.Usual, parameter.GivenUp ? "given up for the others" : "");
            console.Write(table);
        }

        if (view.Gap is { } gap) Lines(console, [gap]);
        WriteOthers(console, "Not reached", view.Left);
    }

    /// <summary>What a search passed over, and whether the guest could come back from where it goes.</summary>
    public static void WriteNotes(IAnsiConsole console, PlanView? plan)
    {
        if (plan is null) return;
        WriteOthers(console, "Other hosts", plan.PassedOver);
        WriteNoWayBack(console, plan.NoWayBack);
        Lines(console, [.. (plan.Quiesce?.Costs ?? []).Select(cost => $"  {cost}")]);
    }

    private static void WriteOthers(IAnsiConsole console, string title, IReadOnlyList<PassedOverView> hosts)
    {
        if (hosts.Count == 0) return;
        console.MarkupLine($"[bold]{title}[/]");
        foreach (var host in hosts)
        {
            Lines(console, [host.Rank is { } rank ? $"  {host.Host} could take it too, rank {rank}" : $"  {host.Host}"]);
            Lines(console, ReasonLines.Of(host.Reasons, "    "));
        }
    }

    private static void WriteDropped(IAnsiConsole console, DeviceVerdictView device, string host)
    {
        if (device.Dropped.Count > 0)
            Lines(console, [$"  {host} drops optional state of {device.Device}: {string.Join(", ", device.Dropped)}"]);
    }

    private static void WriteNoWayBack(IAnsiConsole console, IReadOnlyList<Reason> reasons)
    {
        if (reasons.Count == 0) return;
        console.MarkupLine("[yellow]It can go there, but could not come back:[/]");
        Lines(console, ReasonLines.Of(reasons));
    }

    private static string Coloured(string verdict) => verdict switch
    {
        Verdicts.Compatible => $"[green]{verdict}[/]",
        Verdicts.Unknown => $"[yellow]{verdict}[/]",
        _ => $"[red]{verdict.EscapeMarkup()}[/]",
    };

    internal static void Lines(IAnsiConsole console, IEnumerable<string> lines)
    {
        foreach (string line in lines) console.MarkupLine(line.EscapeMarkup());
    }
}
