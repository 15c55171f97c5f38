using System.CommandLine;
using System.Diagnostics;
using MigrationCluster.Chaos.Planting;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>`mc-chaos simulate`.</summary>
internal static class SimulateCommand
{
    public static Command Create()
    {
        var seed = new Option<int>("--seed") { Description = "First seed.", DefaultValueFactory = _ => 1 };
        var count = new Option<int>("--count") { Description = "How many seeds to run.", DefaultValueFactory = _ => 1000 };
        var planted = PlantedOption.Create();
        var command = new Command("simulate",
            "Runs the real coordinator, source and destination machines through seeded faults and checks the invariants " +
            "after every step. The same seed replays the same run.") { seed, count, planted };
        command.SetAction(parsed => Run(parsed.GetValue(seed), parsed.GetValue(count), parsed.GetValue(planted)));
        return command;
    }

    private static int Run(int first, int runs, string? planted)
    {
        if (runs < 1)
        {
            Console.Error.WriteLine($"mc-chaos: --count must be at least 1, not {runs}");
            return 2;
        }

        if (!PlantedOption.TryRead(planted, out var build)) return 2;
        long steps = 0;
        var outcomes = new SortedDictionary<string, int>(StringComparer.Ordinal);
        var watch = Stopwatch.StartNew();
        for (int i = 0; i < runs; i++)
        {
            var fleet = new SimulatedFleet(first + i, build);
            if (fleet.Run() is { } violation)
            {
                foreach (string line in fleet.Story) Console.WriteLine(line);
                Console.Error.WriteLine($"mc-chaos: seed {first + i} violates {violation.Invariant}: {violation.Detail}");
                Console.Error.WriteLine($"mc-chaos: replay with: mc-chaos simulate --seed {first + i} --count 1" +
                    (planted is null ? "" : $" --planted {planted}"));
                return 1;
            }

            steps += fleet.Steps;
            foreach (var phase in fleet.Outcomes)
                outcomes[phase.ToString()] = outcomes.GetValueOrDefault(phase.ToString()) + 1;
        }

        Console.WriteLine($"{runs} seeds, {steps} steps, 0 violations, {watch.Elapsed.TotalSeconds:F1} s");
        Console.WriteLine("migrations: " + string.Join(", ", outcomes.Select(pair => $"{pair.Value} {pair.Key}")));
        return 0;
    }
}
