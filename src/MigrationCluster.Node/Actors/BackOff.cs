namespace MigrationCluster.Node.Actors;

/// <summary>How long to wait before something is tried again: 200 ms, doubling, at most 2 s.</summary>
public static class BackOff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(2);

    /// <param name="attempt">tries that have ended so far, less one; 0 is the first wait.</param>
    public static TimeSpan Delay(int attempt) =>
        attempt >= 4 ? Longest : First * (1 << Math.Max(attempt, 0)) is var delay && delay < Longest ? delay : Longest;
}
