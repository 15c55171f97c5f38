using System.CommandLine;
using MigrationCluster.Api;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

/// <summary>Questions about compatibility; nothing moves. Exit code 0: compatible, 3: not, or not known.</summary>
public static class CompatCommand
{
    public static Command Build(Terminal terminal, Interruption interruption) =>
        new("compat", "Says what can move where, and why not. Nothing moves.")
        {
            BuildCheck(terminal, interruption), BuildExplain(terminal, interruption),
            BuildMatrix(terminal, interruption), BuildBaseline(terminal, interruption),
        };

    private static Command BuildCheck(Terminal terminal, Interruption interruption)
    {
        var guest = new Argument<string>("GUEST") { Description = "a running guest" };
        var to = new Option<string>("--to") { Description = "the host it might move to", HelpName = "HOST", Required = true };
        var check = new Command("check", "Whether a guest could move to a host now, every reason why not, and whether it could come back.")
        {
            guest, to,
        };
        Invocation.Handle(check, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var view = await client.CheckCompatAsync(
                run.Parse.GetRequiredValue(guest), run.Parse.GetRequiredValue(to), cancellationToken);
            if (run.Json) run.WriteJson(view);
            else CompatReport.Write(run.Terminal.Console, view);
            return Of(view.Verdict);
        });
        return check;
    }

    private static Command BuildExplain(Terminal terminal, Interruption interruption)
    {
        var device = new Argument<string>("DEVICE") { Description = "a guest's device: GUEST/DEVICE, e.g. web/net0" };
        var host = new Argument<string>("HOST") { Description = "the host it might move to" };
        var explain = new Command("explain", "One device beside what a host could make, and who decided what.") { device, host };
        explain.Validators.Add(result =>
        {
            if (result.GetValue(device) is { } text && text.Split('/') is not [{ Length: > 0 }, { Length: > 0 }])
                result.AddError($"'{text}' names no device: accepted is GUEST/DEVICE, e.g. web/net0");
        });
        Invocation.Handle(explain, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var view = await client.ExplainCompatAsync(
                run.Parse.GetRequiredValue(device), run.Parse.GetRequiredValue(host), cancellationToken);
            if (run.Json) run.WriteJson(view);
            else CompatReport.Write(run.Terminal.Console, view);
            return Of(view.Device.Verdict);
        });
        return explain;
    }

    private static Command BuildMatrix(Terminal terminal, Interruption interruption)
    {
        var deviceClass = new Option<string?>("--class")
        {
            Description = "a device template's name or a mediated type; without it every class that any host can make",
            HelpName = "CLASS",
        };
        var matrix = new Command("matrix", "Which host takes a device from which other: directions, islands, one-way edges.") { deviceClass };
        Invocation.Handle(matrix, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var views = await client.GetCompatMatrixAsync(run.Parse.GetValue(deviceClass), cancellationToken);
            if (run.Json) run.WriteJson(views);
            else if (views.Count == 0) run.Terminal.Output.WriteLine("No host has told what devices it can make.");
            else foreach (var view in views) CompatMatrix.Write(run.Terminal.Console, view);
            return ExitCodes.Done;
        });
        return matrix;
    }

    private static Command BuildBaseline(Terminal terminal, Interruption interruption)
    {
        var deviceClass = new Option<string>("--class")
        {
            Description = "a device template's name or a mediated type",
            HelpName = "CLASS",
            Required = true,
        };
        var minTargets = new Option<int>("--min-targets")
        {
            Description = "how many hosts have to take a device made with it",
            HelpName = "N",
            Required = true,
        };
        minTargets.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && (!int.TryParse(token.Value, out int number) || number < 1))
                result.AddError($"--min-targets {token.Value}: accepted is a whole number, 1 or more");
        });
        var baseline = new Command("baseline", "The best configuration of a class that stays movable; exit code 3 if none is.")
        {
            deviceClass, minTargets,
        };
        Invocation.Handle(baseline, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var view = await client.GetCompatBaselineAsync(
                run.Parse.GetRequiredValue(deviceClass), run.Parse.GetRequiredValue(minTargets), cancellationToken);
            if (run.Json) run.WriteJson(view);
            else CompatReport.Write(run.Terminal.Console, view);
            return view.Reached ? ExitCodes.Done : ExitCodes.Refused;
        });
        return baseline;
    }

    private static int Of(string verdict) => verdict == Verdicts.Compatible ? ExitCodes.Done : ExitCodes.Refused;
}
