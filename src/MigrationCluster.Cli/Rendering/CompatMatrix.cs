using MigrationCluster.Api;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>Which host takes a device from which other: a grid where it fits, islands and one-way edges always.</summary>
public static class CompatMatrix
{
    /// <summary>A wider grid is not read by anybody; `--output json` has all of it.</summary>
    private const int MostColumns = 16;

    public static void Write(IAnsiConsole console, CompatMatrixView view)
    {
        console.MarkupLine($"[bold]{view.Class.EscapeMarkup()}[/]  [grey]from the host of the row to the host of the column[/]");
        if (view.Hosts.Count <= MostColumns) console.Write(Grid(view));
        else CompatReport.Lines(console, [$"  {view.Hosts.Count} hosts: see the grid with --output json"]);
        if (view.Hosts.Where(host => host.Stale).Select(host => host.Host).ToList() is { Count: > 0 } stale)
            CompatReport.Lines(console, [$"  * does not answer, so this is what it told last: {string.Join(", ", stale)}"]);
        if (view.Hosts.Where(host => host.Offers is null).Select(host => host.Host).ToList() is { Count: > 0 } silent)
            CompatReport.Lines(console, [$"  not known what it can make: {string.Join(", ", silent)}"]);
        foreach (var (island, number) in view.Islands.Select((island, i) => (island, i + 1)))
            CompatReport.Lines(console,
                [$"  island {number}: {string.Join(", ", island.Hosts)}{(island.Whole ? "" : "  (not every pair of them directly)")}"]);
        foreach (var edge in view.OneWay)
            CompatReport.Lines(console, [$"  one way: {edge.Source} → {edge.Destination}, back {edge.Back}"]);
        console.WriteLine();
    }

    private static Table Grid(CompatMatrixView view)
    {
        var table = Listings.Plain([.. view.Hosts.Select(Name).Prepend("")]);
        foreach (var (host, row) in view.Hosts.Zip(view.Verdicts))
            Listings.Add(table, [.. row.Select(Mark).Prepend(Name(host))]);
        return table;
    }

    private static string Name(MatrixHostView host) => host.Stale ? host.Host + "*" : host.Host;

    private static string Mark(string verdict) => verdict switch
    {
        Verdicts.Compatible => "yes",
        Verdicts.Unknown => "?",
        Verdicts.Incompatible => "no",
        _ => "-",
    };
}
