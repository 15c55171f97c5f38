using System.CommandLine;
using System.Diagnostics;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>`mc-chaos simulate`.</summary>
internal static class SimulateCommand
{
    private static readonly TimeSpan BetweenReports = TimeSpan.FromSeconds(10);

    public static Command Create()
    {
        var seed = new Option<int>("--seed") { Description = "First seed.", DefaultValueFactory = _ => 1 };
        var count = new Option<int>("--count") { Description = "How many seeds to run.", DefaultValueFactory = _ => 1000 };
        var jobs = new Option<int>("--jobs") { Description = "How many seeds to run side by side.", DefaultValueFactory = _ => 1 };
        var story = new Option<bool>("--story") { Description = "Tell everything that happens in the first seed." };
        var planted = PlantedOption.Create();
        var command = new Command("simulate",
            "Runs fleets of the real shell and the real machines on virtual time, through seeded faults and then a healed phase that must " +
            "end everything. The invariants are checked after every change. The same seed replays the same run.") { seed, count, jobs, story, planted };
        command.SetAction(async (parsed, cancel) => await Task.Run(() => Run(
            parsed.GetValue(seed), parsed.GetValue(count), parsed.GetValue(jobs), parsed.GetValue(story), parsed.GetValue(planted), cancel), cancel));
        return command;
    }

    private static int Run(int first, int count, int jobs, bool story, string? planted, CancellationToken cancel)
    {
        if (count < 1 || jobs < 1)
        {
            Console.Error.WriteLine($"mc-chaos: --count and --jobs must be at least 1, not {Math.Min(count, jobs)}");
            return 2;
        }

        if (!PlantedOption.TryRead(planted, out var build)) return 2;
        if (story) Tell(first, build, Plan.Of(first).Incidents);
        var totals = new SimulationTotals();
        var watch = Stopwatch.StartNew();
        var failed = RunAll(first, count, jobs, build, totals, watch, cancel);
        Console.WriteLine(totals.Describe(watch.Elapsed, failed is null ? 0 : 1));
        if (failed is not var (seed, violation)) return cancel.IsCancellationRequested ? 130 : 0;
        Explain(seed, violation, build, planted);
        return 1;
    }

    /// <returns>the lowest seed of those run that failed; null: none.</returns>
    private static (int Seed, Violation Violation)? RunAll(
        int first, int count, int jobs, Build build, SimulationTotals totals, Stopwatch watch, CancellationToken cancel)
    {
        (int Seed, Violation Violation)? failed = null;
        var (sync, told) = (new Lock(), BetweenReports);
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = jobs }, (i, loop) =>
        {
            if (cancel.IsCancellationRequested) loop.Stop();
            if (loop.ShouldExitCurrentIteration) return;
            var fleet = new SimulatedFleet(first + i, build);
            var violation = fleet.Run();
            totals.Add(first + i, fleet);
            lock (sync)
            {
                if (violation is not null && (failed is null || first + i < failed.Value.Seed)) failed = (first + i, violation);
                if (watch.Elapsed > told && failed is null)
                {
                    told = watch.Elapsed + BetweenReports;
                    Console.Error.WriteLine(totals.Describe(watch.Elapsed, 0).Split(Environment.NewLine)[0]);
                }
            }

            if (violation is not null) loop.Break();
        });
        return failed;
    }

    private static void Explain(int seed, Violation violation, Build build, string? planted)
    {
        Console.Error.WriteLine($"mc-chaos: seed {seed} violates {violation.Invariant}: {violation.Detail}");
        Console.Error.WriteLine($"mc-chaos: replay with: mc-chaos simulate --seed {seed} --count 1" +
            (planted is null ? "" : $" --planted {planted}"));
        var incidents = Shrinker.Shrink(seed, build, violation);
        Console.WriteLine($"Of {Plan.Of(seed).Incidents.Count} incidents these are enough:");
        foreach (var incident in incidents) Console.WriteLine(incident);
        Console.WriteLine();
        Tell(seed, build, incidents);
    }

    private static void Tell(int seed, Build build, IReadOnlyList<Incident> incidents)
    {
        var plan = Plan.Of(seed);
        var fleet = new SimulatedFleet(seed, build, plan, incidents, tells: true);
        var violation = fleet.Run();
        Console.WriteLine($"seed {seed}: {plan.Hosts} hosts, {plan.Coordinators} coordinators, {plan.Guests} guests of " +
            $"{plan.Shape.Length - 1} devices, {(plan.Shuffled ? "turns in any order" : "turns in order")}");
        foreach (string line in fleet.Story) Console.WriteLine(line);
        Console.WriteLine(violation is null ? "nothing is violated" : $"{violation.Invariant}: {violation.Detail}");
    }
}
