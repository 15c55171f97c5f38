using System.CommandLine;
using System.Text.Json;
using MigrationCluster.Chaos.Planting;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>`mc-chaos chaos`.</summary>
internal static class ChaosCommand
{
    /// <summary>By --profile.</summary>
    private static readonly Dictionary<string, (double Minutes, int Nodes, int Guests, int GuestMiB)> Profiles = new()
    {
        ["ci"] = (2, 3, 4, 32),
        ["long"] = (30, 3, 4, 64),
    };

    public static Command Create()
    {
        var nodes = new Option<int?>("--nodes") { Description = "Hosts of guests, 2 to 8. [default: 3]" };
        var guests = new Option<int?>("--guests") { Description = "Guests, of 64 MiB each (profile ci: 32), 1 to 16. [default: 4]" };
        var engine = new Option<string>("--engine")
        {
            Description = "sqlite: one coordinator; postgres: three, and a PostgreSQL of the run's own.",
            DefaultValueFactory = _ => ChaosSettings.Sqlite,
        };
        engine.AcceptOnlyFromAmong(ChaosSettings.Sqlite, ChaosSettings.Postgres);
        var minutes = new Option<double?>("--minutes") { Description = "How long faults strike. [default: 5]" };
        var seed = new Option<int?>("--seed") { Description = "Of the schedule of faults. [default: drawn, and told]" };
        var faults = new Option<string?>("--faults")
        {
            Description = "Names with commas between; with a minus before it a name is taken out of all. [default: all]\n" +
                string.Join('\n', Fault.All.Select(fault => $"  {fault.Name}: {fault.Help}")),
        };
        var profile = new Option<string?>("--profile") { Description = "ci: 2 min, 3 nodes, 4 guests; long: 30 min, 3 nodes, 4 guests." };
        profile.AcceptOnlyFromAmong([.. Profiles.Keys]);
        var report = new Option<string?>("--report") { Description = "Folder of the report. [default: chaos-SEED in the current one]" };
        var schedule = new Option<string?>("--schedule") { Description = "Keep to the schedule, and the settings, of this report.json instead." };
        var plain = new Option<bool>("--loopback") { Description = "All on loopback, even where network namespaces could be made." };
        var planted = PlantedOption.CreateForDaemons();
        var command = new Command("chaos",
            "Starts a cluster of real processes, breaks it for a while under a stream of migrations, lets it heal, and judges from outside: the guests' own " +
            "checks, fence files, processes and journals. Exit status: 0 everything held, 1 it did not, 2 usage, 130 interrupted.")
        {
            nodes, guests, engine, minutes, seed, faults, profile, report, schedule, plain, planted,
        };
        command.SetAction(async (parsed, _) =>
        {
            try
            {
                var settings = parsed.GetValue(schedule) is { } file
                    ? Again(file, parsed.GetValue(report))
                    : Read(parsed.GetValue(profile), parsed.GetValue(nodes), parsed.GetValue(guests), parsed.GetValue(engine)!, parsed.GetValue(minutes),
                        parsed.GetValue(seed) ?? Random.Shared.Next(1, 1_000_000), parsed.GetValue(faults), parsed.GetValue(report), parsed.GetValue(plain)) with
                    {
                        Planted = parsed.GetValue(planted),
                    };
                return await RunAsync(settings);
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

    public static Command CreateInside()
    {
        var folder = new Argument<string>("FOLDER");
        var inside = new Command(Supervisor.Inside, "What `chaos` starts.") { folder };
        inside.Hidden = true;
        inside.SetAction((parsed, _) => Supervisor.RunInsideAsync(parsed.GetRequiredValue(folder)));
        return inside;
    }

    /// <exception cref="FormatException">names what cannot be.</exception>
    internal static ChaosSettings Read(
        string? profile, int? nodes, int? guests, string engine, double? minutes, int seed, string? faults, string? report, bool loopback)
    {
        var preset = profile is null ? (Minutes: 5, Nodes: 3, Guests: 4, GuestMiB: 64) : Profiles[profile];
        var (hosts, count, long_) = (nodes ?? preset.Nodes, guests ?? preset.Guests, minutes ?? preset.Minutes);
        if (hosts is < 2 or > 8) throw new FormatException($"--nodes must be 2 to 8, not {hosts}");
        if (count is < 1 or > 16) throw new FormatException($"--guests must be 1 to 16, not {count}");
        if (long_ is not (>= 0.1 and <= 10_000)) throw new FormatException($"--minutes must be 0.1 to 10000, not {long_}");
        if (engine == ChaosSettings.Postgres && Database.Missing() is { } missing) throw new FormatException($"--engine postgres: {missing}");
        string? none = loopback ? "--loopback was given" : Network.Missing();
        var settings = new ChaosSettings(
            Supervisor.NewFolder(), hosts, count, engine, long_, seed, Path.GetFullPath(report ?? $"chaos-{seed}"), none is null,
            Environment.IsPrivilegedProcess, [], new SortedDictionary<string, string>(), GuestMiB: preset.GuestMiB);
        var asked = Names(faults);
        var leftOut = asked.Select(fault => (fault.Name, Why: fault.Missing(settings))).Where(pair => pair.Why is not null)
            .ToDictionary(pair => pair.Name, pair => none is not null && pair.Why!.Contains("namespaces", StringComparison.Ordinal) ? $"{pair.Why} ({none})" : pair.Why!);
        return settings with { Faults = [.. asked.Select(fault => fault.Name).Where(name => !leftOut.ContainsKey(name))], LeftOut = leftOut };
    }

    private static List<Fault> Names(string? faults)
    {
        string[] names = (faults ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        foreach (string name in names.Select(name => name.TrimStart('-')))
            if (Fault.All.All(fault => fault.Name != name))
                throw new FormatException($"there is no fault '{name}'; there are {string.Join(", ", Fault.All.Select(fault => fault.Name))}");
        var chosen = names.Where(name => !name.StartsWith('-')).ToList();
        return [.. chosen.Count > 0 ? chosen.Distinct().Select(Fault.Find) : Fault.All.Where(fault => !names.Contains("-" + fault.Name))];
    }

    /// <exception cref="FormatException">no report.</exception>
    internal static ChaosSettings Again(string file, string? report)
    {
        try
        {
            var earlier = JsonSerializer.Deserialize<ChaosReport>(File.ReadAllText(file), Supervisor.Json)!;
            string to = Path.GetFullPath(report ?? Path.Combine(Path.GetDirectoryName(Path.GetFullPath(file))!, "again"));
            return earlier.Settings with { Folder = Supervisor.NewFolder(), Report = to, Strikes = earlier.Schedule };
        }
        catch (Exception error) when (error is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new FormatException($"--schedule {file}: {error.Message}", error);
        }
    }

    private static async Task<int> RunAsync(ChaosSettings settings)
    {
        Console.WriteLine($"seed {settings.Seed}; {(settings.Namespaces ? "each node in a network namespace of its own" : "all nodes on loopback")}; report in {settings.Report}");
        foreach (var (fault, why) in settings.LeftOut) Console.WriteLine($"left out: {fault}: {why}");
        if (await Supervisor.RunAsync(settings) is not { } report)
        {
            Console.Error.WriteLine("mc-chaos: the run came to no report");
            return 1;
        }

        Console.WriteLine(report.Text());
        if (report.Verdict == ChaosReport.Violated)
            Console.Error.WriteLine($"mc-chaos: again: mc-chaos chaos --schedule {Path.Combine(settings.Report, "report.json")}");
        return report.Verdict switch { ChaosReport.Held => 0, ChaosReport.Interrupted => 130, _ => 1 };
    }
}
