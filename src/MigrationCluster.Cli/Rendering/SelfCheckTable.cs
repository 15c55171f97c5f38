using MigrationCluster.Api;
using Spectre.Console;

namespace MigrationCluster.Cli.Rendering;

/// <summary>The guest's own account of itself, once or before and after side by side.</summary>
public static class SelfCheckTable
{
    public static Table Of(params (string When, SelfCheckView Check)[] checks)
    {
        var table = new Table().Border(TableBorder.None);
        table.AddColumn(new TableColumn(new Text("")).NoWrap().PadLeft(2));
        foreach (var (when, _) in checks)
            table.AddColumn(new TableColumn(new Text(when)).NoWrap().RightAligned().Width(14));
        Row(table, "pages checked", checks, check => check.Pages, false);
        Row(table, "wrong", checks, check => check.Wrong, true);
        Row(table, "errors in its work", checks, check => check.WorkErrors, true);
        Row(table, "page writes so far", checks, check => check.PageWrites, false);
        Row(table, "device operations", checks, check => check.RegisterOperations, false);
        Row(table, "interrupts", checks, check => check.Interrupts, false);
        if (checks.All(check => check.When.Length == 0)) table.HideHeaders();
        return table;
    }

    private static void Row(
        Table table, string name, (string When, SelfCheckView Check)[] checks, Func<SelfCheckView, long> figure, bool mustBeZero)
    {
        var cells = new List<Markup> { new(name) };
        foreach (var (_, check) in checks)
        {
            string text = Figures.Count(figure(check));
            cells.Add(new Markup(!mustBeZero ? text : figure(check) == 0 ? $"[green]{text}[/]" : $"[red]{text}[/]"));
        }
        table.AddRow(cells);
    }
}
