using System.CommandLine;
using System.Text.Json;
using MigrationCluster.Chaos.Planting;

namespace MigrationCluster.Chaos.Cluster.Matrix;

/// <summary>`mc-chaos matrix`.</summary>
internal static class MatrixCommand
{
    public static Command Create()
    {
        var points = new Option<string?>("--points") { Description = "Names of failpoints (mc-node failpoints), or their beginnings, with commas between. [default: all]" };
        var faults = new Option<string?>("--faults") { Description = "As chaos takes them, struck in this order. [default: all that make sense at a failpoint]" };
        var pairs = new Option<bool>("--pairs") { Description = "Two faults at two failpoints of each migration: a sample of all pairs." };
        var count = new Option<int?>("--count") { Description = "A sample of so many cases. [default: all singles; 200 pairs]" };
        var seed = new Option<int>("--seed") { Description = "Of the sample.", DefaultValueFactory = _ => 1 };
        var jobs = new Option<int>("--jobs") { Description = "Clusters side by side, 1 to 16.", DefaultValueFactory = _ => 1 };
        var memory = new Option<int>("--guest-mib") { Description = "RAM of the guest, 16 to 1024.", DefaultValueFactory = _ => 64 };
        var engine = new Option<string>("--engine") { Description = "As of chaos.", DefaultValueFactory = _ => ChaosSettings.Sqlite };
        engine.AcceptOnlyFromAmong(ChaosSettings.Sqlite, ChaosSettings.Postgres);
        var report = new Option<string>("--report")
        {
            Description = "Folder of the report. Cases that are in it already are not run again.",
            DefaultValueFactory = _ => "chaos-matrix",
        };
        var output = new Option<string>("--output") { Description = "text or json.", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        var plain = new Option<bool>("--loopback") { Description = "As of chaos." };
        var planted = PlantedOption.CreateForDaemons();
        var command = new Command("matrix",
            "Strikes a migration at each failpoint with each fault: the process stands still there, the fault strikes, the process goes on, and what comes of " +
            "it is judged as in chaos. One cluster serves case after case until one does not hold. Exit status: as of chaos.")
        {
            points, faults, pairs, count, seed, jobs, memory, engine, report, output, plain, planted,
        };
        command.SetAction(async (parsed, _) =>
        {
            try
            {
                if (parsed.GetValue(jobs) is < 1 or > 16) throw new FormatException($"--jobs must be 1 to 16, not {parsed.GetValue(jobs)}");
                if (parsed.GetValue(memory) is < 16 or > 1024) throw new FormatException($"--guest-mib must be 16 to 1024, not {parsed.GetValue(memory)}");
                if (parsed.GetValue(count) is < 1) throw new FormatException($"--count must be at least 1, not {parsed.GetValue(count)}");
                var settings = ChaosCommand.Read(
                    null, 2, 1, parsed.GetValue(engine)!, null, parsed.GetValue(seed), parsed.GetValue(faults), parsed.GetValue(report)!, parsed.GetValue(plain));
                settings = settings with { GuestMiB = parsed.GetValue(memory), Planted = parsed.GetValue(planted) };
                var cases = Cases(settings, parsed.GetValue(points), parsed.GetValue(pairs), parsed.GetValue(count));
                string line = string.Join(' ', (string[])["mc-chaos", "matrix", .. parsed.Tokens.Skip(1).Select(token => token.Value)]);
                return await RunAsync(settings, cases, parsed.GetValue(jobs), line, parsed.GetValue(output) == "json");
            }
            catch (FormatException usage)
            {
                await Console.Error.WriteLineAsync($"mc-chaos: {usage.Message}");
                return 2;
            }
            catch (IOException error)
            {
                await Console.Error.WriteLineAsync($"mc-chaos: {error.Message}");
                return 1;
            }
        });
        return command;
    }

    /// <exception cref="FormatException">nothing is left of what was asked for.</exception>
    internal static IReadOnlyList<MatrixCase> Cases(ChaosSettings settings, string? points, bool pairs, int? count)
    {
        string[] names = (points ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (string name in names)
            if (!Place.All.Any(place => place.Point.StartsWith(name, StringComparison.Ordinal)))
                throw new FormatException($"--points: no migration comes by '{name}'; mc-node failpoints lists them all");
        var places = Place.All.Where(place => names.Length == 0 || names.Any(name => place.Point.StartsWith(name, StringComparison.Ordinal)));
        var singles = MatrixCase.Singles(places, settings.Faults.Select(Fault.Find));
        var cases = pairs ? MatrixCase.Pairs(singles, count ?? 200, settings.Seed) : MatrixCase.Sample(singles, count ?? singles.Count, settings.Seed);
        return cases.Count > 0 ? cases : throw new FormatException("--faults and --points leave no case: none of these faults makes sense at any of these failpoints");
    }

    private static async Task<int> RunAsync(ChaosSettings settings, IReadOnlyList<MatrixCase> cases, int jobs, string line, bool json)
    {
        Directory.CreateDirectory(settings.Report);
        foreach (var (fault, why) in settings.LeftOut) await Console.Error.WriteLineAsync($"left out: {fault}: {why}");
        await Console.Error.WriteLineAsync($"{cases.Count} cases, {(settings.Namespaces ? "each node in a network namespace of its own" : "all nodes on loopback")}; report in {settings.Report}");
        using var interruption = new Interruption();
        await Task.WhenAll(Enumerable.Range(0, jobs).Select(job => Task.Run(() =>
            WorkAsync(settings, [.. cases.Where((_, i) => i % jobs == job)], interruption.Token))));

        var asked = cases.Select(it => it.ToString()).ToHashSet();
        var report = MatrixReport.Of(line, cases.Count, [.. MatrixRun.Read(settings.Report).Where(result => result.Hits.Count == 0 || asked.Contains(result.Case))]);
        await File.WriteAllTextAsync(Path.Combine(settings.Report, "matrix.md"), report.Markdown());
        string whole = JsonSerializer.Serialize(report, Supervisor.Json);
        await File.WriteAllTextAsync(Path.Combine(settings.Report, "matrix.json"), whole);
        Console.WriteLine(json ? whole : report.Text());
        return interruption.Token.IsCancellationRequested ? 130 : report.Wrong > 0 ? 1 : 0;
    }

    /// <summary>One cluster after the other until every case of the job is written down.</summary>
    private static async Task WorkAsync(ChaosSettings settings, IReadOnlyList<MatrixCase> cases, CancellationToken interrupted)
    {
        while (!interrupted.IsCancellationRequested)
        {
            var known = MatrixRun.Read(settings.Report).Select(result => result.Case).ToHashSet();
            MatrixCase[] left = [.. cases.Where(it => !known.Contains(it.ToString()))];
            if (left.Length == 0) return;
            IReadOnlyList<MatrixResult> Own() => [.. MatrixRun.Read(settings.Report).Where(result => left.Any(it => it.ToString() == result.Case))];
            var trouble = await Supervisor.HoldAsync(settings with { Folder = Supervisor.NewFolder(), Cases = left }, () => Own() is [] or [.., { Wrong.Count: > 0 }], interrupted);
            foreach (string one in trouble) MatrixRun.Append(settings.Report, MatrixRun.OfCluster($"left behind: {one}"));
            if (Own().Count > 0 || interrupted.IsCancellationRequested) continue;
            // Whatever it was, the same case would meet it again.
            MatrixRun.Append(settings.Report, MatrixRun.OfCluster("it came to no case") with { Case = left[0].ToString(), Hits = left[0].Hits });
        }
    }
}
