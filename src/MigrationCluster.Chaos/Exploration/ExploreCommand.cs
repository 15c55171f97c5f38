using System.CommandLine;
using System.Diagnostics;
using MigrationCluster.Chaos.Planting;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>`mc-chaos explore`.</summary>
internal static class ExploreCommand
{
    public static Command Create()
    {
        var states = new Option<long>("--states")
        {
            Description = "Stop at this many distinct states of a configuration.",
            DefaultValueFactory = _ => 5_000_000,
        };
        var name = new Option<string?>("--config")
        {
            Description = "One of: " + string.Join(", ", Configuration.All.Select(each => each.Name)) +
                ". All when absent; with --planted, the one in whose reach the bug is.",
        };
        var planted = PlantedOption.Create();
        var command = new Command("explore",
            "Drives the real coordinator, source and destination machines through every interleaving of a configuration and checks " +
            "the invariants in every state. A violation is told by its shortest trace.") { states, name, planted };
        command.SetAction(parsed => Run(parsed.GetValue(name), parsed.GetValue(states), parsed.GetValue(planted)));
        return command;
    }

    private static int Run(string? name, long states, string? planted)
    {
        if (!PlantedOption.TryRead(planted, out var build)) return 2;
        name ??= PlantedBug.Find(planted)?.Configuration;
        var chosen = Configuration.All.Where(each => name is null || each.Name == name).ToList();
        if (chosen.Count == 0 || states < 1)
        {
            Console.Error.WriteLine(states < 1
                ? $"mc-chaos: --states must be at least 1, not {states}"
                : $"mc-chaos: there is no configuration '{name}'; there are {string.Join(", ", Configuration.All.Select(each => each.Name))}");
            return 2;
        }

        foreach (var configuration in chosen)
            if (!Explore(configuration, states, build))
                return 1;
        return 0;
    }

    private static bool Explore(Configuration configuration, long states, Build build)
    {
        Console.WriteLine($"{configuration.Name}: {configuration.Story}");
        var watch = Stopwatch.StartNew();
        var explorer = new Explorer(configuration, build);
        void Report(string end) => Console.WriteLine(
            $"  {explorer.States} states, depth {explorer.Depth}, frontier {explorer.Frontier}, {watch.Elapsed.TotalSeconds:F1} s{end}");
        var finding = explorer.Run(states, () => Report(""));
        if (finding is null)
        {
            Console.WriteLine("  by phase: " + string.Join(", ", explorer.Phases().Select(pair => $"{pair.Key} {pair.Value}")));
            Console.WriteLine($"  liveness from every state, over {explorer.HealedStates} states without faults");
            Report(explorer.Frontier == 0 ? ", explored to the end, 0 violations" : ", 0 violations up to this bound");
            return true;
        }

        for (int i = 0; i < finding.Trace.Count; i++) Console.WriteLine($"{i + 1,4}  {finding.Trace[i]}");
        Report("");
        Console.Error.WriteLine($"mc-chaos: {configuration.Name} violates {finding.Violation.Invariant}: {finding.Violation.Detail}");
        return false;
    }
}
