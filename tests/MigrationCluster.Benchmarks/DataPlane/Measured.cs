using System.Diagnostics;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>Time and managed allocation of one piece of work, over all threads of this process.</summary>
internal static class Measured
{
    internal static async Task<(double Seconds, long AllocatedBytes)> RunAsync(Func<Task> work)
    {
        GC.Collect();
        long before = GC.GetTotalAllocatedBytes(precise: true);
        long start = Stopwatch.GetTimestamp();
        await work();
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        return (seconds, GC.GetTotalAllocatedBytes(precise: true) - before);
    }

    /// <summary>
    /// What each further page or chunk of one call allocates: a call itself has its tasks, whatever it moves. The least
    /// of several tries, because the runtime's own threads allocate too.
    /// </summary>
    internal static async Task<double> AllocatedByMoreAsync(long more, Func<Task> few, Func<Task> many)
    {
        long ofFew = long.MaxValue, ofMany = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            ofFew = Math.Min(ofFew, (await RunAsync(few)).AllocatedBytes);
            ofMany = Math.Min(ofMany, (await RunAsync(many)).AllocatedBytes);
        }
        return Math.Max(0, ofMany - ofFew) / (double)more;
    }
}
