using MigrationCluster.Api;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace MigrationCluster.Cli.Rendering;

/// <summary>A migration's progress as a picture that is redrawn in place.</summary>
public static class LiveProgress
{
    public static IRenderable Render(MigrationView view)
    {
        var rows = new List<IRenderable>
        {
            new Markup($"[bold]{view.Guest.EscapeMarkup()}[/]  {view.Source.EscapeMarkup()} → " +
                $"{view.Destination.EscapeMarkup()}  [grey]{view.Id.EscapeMarkup()}, downtime limit {view.MaxDowntimeMs} ms[/]"),
            new Markup(Phases(view)),
            new Markup(Numbers(view.Progress) + (view.MaxBytesPerSecond is { } most ? $"   [grey]at most {Bandwidth.Text(most)}[/]" : "")),
        };
        if (view.Doubt is { } doubt)
            rows.Add(new Markup($"[red]In doubt since {doubt.Since:HH:mm:ss'Z'}[/]: {doubt.Why.EscapeMarkup()}\n{doubt.Resolution.EscapeMarkup()}"));
        if (view.Progress.Devices.Count > 0) rows.Add(Devices(view.Progress.Devices));
        return new Rows(rows);
    }

    private static string Phases(MigrationView view)
    {
        int last = view.Phases.Count - 1;
        bool running = view.Outcome == Outcomes.Running;
        return string.Join("  ", view.Phases.Select((phase, i) => i == last && running
            ? $"[yellow]▸ {phase.Phase.EscapeMarkup()}[/]"
            : $"[green]✓[/] {phase.Phase.EscapeMarkup()} [grey]{Figures.Seconds(phase.StartMs)}[/]"));
    }

    private static string Numbers(ProgressView progress) => progress.Iteration == 0
        ? "[grey]nothing sent yet[/]"
        : $"iteration [bold]{progress.Iteration}[/]   remaining [bold]{Figures.Bytes(progress.RemainingBytes)}[/]   " +
            $"sent {Figures.Bytes(progress.TransferredBytes)} at {Figures.Rate(progress.BandwidthBytesPerSecond)}{Again(progress)}   " +
            $"guest dirties {Figures.Rate(progress.DirtyBytesPerSecond)}";

    private static string Again(ProgressView progress) =>
        progress.ResentBytes > 0 ? $", {Figures.Bytes(progress.ResentBytes)} of it again" : "";

    private static Table Devices(IReadOnlyList<DeviceProgressView> devices)
    {
        var table = new Table().Border(TableBorder.None).AddColumns("[grey]device[/]", "[grey]state[/]");
        table.AddColumn(new TableColumn("[grey]sent[/]").RightAligned());
        table.AddColumn(new TableColumn("[grey]remaining[/]").RightAligned());
        foreach (var device in devices)
        {
            table.AddRow(
                device.Name.EscapeMarkup(), device.State.EscapeMarkup(), Figures.Bytes(device.TransferredBytes),
                device.RemainingBytes is { } remaining ? Figures.Bytes(remaining) : "-");
        }
        return table;
    }
}
