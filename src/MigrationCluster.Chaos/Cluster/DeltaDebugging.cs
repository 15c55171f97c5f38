namespace MigrationCluster.Chaos.Cluster;

/// <summary>Takes parts out of a list for as long as what is left still fails.</summary>
internal static class DeltaDebugging
{
    /// <param name="fails">whether these parts alone fail.</param>
    /// <param name="mostRuns">of <paramref name="fails"/>; what is left by then is the answer.</param>
    /// <returns>parts of which, unless runs ran out, none can be left out.</returns>
    public static async Task<IReadOnlyList<T>> ShrinkAsync<T>(IReadOnlyList<T> parts, Func<IReadOnlyList<T>, Task<bool>> fails, int mostRuns)
    {
        var left = parts;
        int runs = 0;
        for (int pieces = 2; left.Count > 0;)
        {
            int size = Math.Max(1, (left.Count + pieces - 1) / pieces);
            IReadOnlyList<T>? smaller = null;
            for (int from = 0; from < left.Count && smaller is null; from += size)
            {
                if (runs++ >= mostRuns) return left;
                IReadOnlyList<T> without = [.. left.Take(from), .. left.Skip(from + size)];
                if (await fails(without)) smaller = without;
            }

            if (smaller is not null) (left, pieces) = (smaller, Math.Max(2, pieces - 1));
            else if (size == 1) return left;
            else pieces = Math.Min(left.Count, pieces * 2);
        }

        return left;
    }
}
