using System.CommandLine;
using System.Text.Json;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>`mc-chaos shrink`: real processes do not fail the same way every time, so a part of a schedule counts as enough only if it failed, and as not
/// enough only after a number of runs that held.</summary>
internal static class ShrinkCommand
{
    public static Command Create()
    {
        var report = new Argument<string>("REPORT") { Description = "report.json of a run that did not hold." };
        var tries = new Option<int>("--tries") { Description = "Runs of a shorter schedule before it counts as holding.", DefaultValueFactory = _ => 2 };
        var runs = new Option<int>("--runs") { Description = "Shorter schedules tried at most.", DefaultValueFactory = _ => 30 };
        var command = new Command("shrink", "Takes faults out of the schedule of a failed run for as long as it still breaks one of the same invariants.")
        {
            report, tries, runs,
        };
        command.SetAction(async (parsed, _) =>
        {
            try
            {
                return await RunAsync(parsed.GetRequiredValue(report), parsed.GetValue(tries), parsed.GetValue(runs));
            }
            catch (Exception error) when (error is FormatException or IOException)
            {
                await Console.Error.WriteLineAsync($"mc-chaos: {error.Message}");
                return error is FormatException ? 2 : 1;
            }
        });
        return command;
    }

    /// <summary>The same thing is wrong: an invariant that was broken then, or, where none was, anything besides.</summary>
    internal static bool FailsAlike(ChaosReport then, ChaosReport now) => then.Findings.Count > 0
        ? now.Findings.Any(finding => then.Findings.Any(known => known.Invariant == finding.Invariant))
        : now.Verdict == ChaosReport.Violated;

    private static async Task<int> RunAsync(string file, int tries, int runs)
    {
        if (tries < 1 || runs < 1) throw new FormatException($"--tries and --runs must be at least 1, not {Math.Min(tries, runs)}");
        var settings = ChaosCommand.Again(file, null);
        var failed = JsonSerializer.Deserialize<ChaosReport>(await File.ReadAllTextAsync(file), Supervisor.Json)!;
        if (failed.Verdict != ChaosReport.Violated) throw new FormatException($"{file}: that run was not violated, it {failed.Verdict}");
        string folder = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, "shrink");
        bool interrupted = false;
        var left = await DeltaDebugging.ShrinkAsync(failed.Schedule, async strikes =>
        {
            for (int turn = 0; turn < tries && !interrupted; turn++)
            {
                var now = await Supervisor.RunAsync(settings with { Folder = Supervisor.NewFolder(), Report = folder, Strikes = strikes });
                interrupted = now is null or { Verdict: ChaosReport.Interrupted };
                if (now is not null && FailsAlike(failed, now)) return true;
            }

            return false;
        }, runs);
        if (interrupted) return 130;
        string least = Path.Combine(folder, "least.json");
        await File.WriteAllTextAsync(least, JsonSerializer.Serialize(failed with { Schedule = left }, Supervisor.Json));
        Console.WriteLine($"Of {failed.Schedule.Count} strikes these are enough:");
        foreach (var strike in left) Console.WriteLine(strike);
        Console.WriteLine($"mc-chaos chaos --schedule {least}");
        return 0;
    }
}
