using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>Takes incidents out of a failing seed as long as the same invariant breaks: delta debugging over the list of them.</summary>
internal static class Shrinker
{
    /// <summary>Runs at most; what is left by then is told.</summary>
    private const int MostRuns = 400;

    public static IReadOnlyList<Incident> Shrink(int seed, Build build, Violation violation)
    {
        var plan = Plan.Of(seed);
        var left = plan.Incidents;
        int runs = 0;
        for (int pieces = 2; left.Count > 0 && runs < MostRuns;)
        {
            int size = Math.Max(1, (left.Count + pieces - 1) / pieces);
            var smaller = Enumerable.Range(0, (left.Count + size - 1) / size)
                .Select(piece => (IReadOnlyList<Incident>)[.. left.Take(piece * size), .. left.Skip((piece + 1) * size)])
                .FirstOrDefault(without => Breaks(without));
            if (smaller is not null) (left, pieces) = (smaller, Math.Max(2, pieces - 1));
            else if (size == 1) break;
            else pieces = Math.Min(left.Count, pieces * 2);
        }

        return left;

        bool Breaks(IReadOnlyList<Incident> incidents) =>
            runs++ < MostRuns && new SimulatedFleet(seed, build, plan, incidents).Run()?.Invariant == violation.Invariant;
    }
}
