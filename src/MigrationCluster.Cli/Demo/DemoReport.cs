using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;
using Spectre.Console;

namespace MigrationCluster.Cli.Demo;

/// <summary>The demo's last word, for a person.</summary>
public static class DemoReport
{
    public static void Write(IAnsiConsole console, DemoResult result, MigrationView migration)
    {
        console.WriteLine();
        MigrationReport.Write(console, migration);
        if (result.GuestSelfCheck is { } check)
        {
            console.WriteLine();
            console.MarkupLine("[bold]The guest's own check[/]");
            console.Write(SelfCheckTable.Of(("before", check.Before), ("after", check.After)));
        }
        console.WriteLine();
        console.MarkupLine(result switch
        {
            { Verified: true } =>
                "[green]Verified[/]: nothing was lost. The guest finds every page as it wrote it, every device is identical.",
            { State: Outcomes.Completed } =>
                "[red]NOT VERIFIED[/]: the guest moved, but something above is not as it should be.",
            { GuestSelfCheck: { Clean: true } clean } =>
                $"The guest did not move; it runs on {result.Source} and finds nothing wrong in {Figures.Count(clean.Pages)} pages.",
            _ => "[red]NOT VERIFIED[/]: the guest did not move.",
        });
    }
}
