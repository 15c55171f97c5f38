namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>Waits for what must come, whenever that is; the limit only keeps a broken test from hanging.</summary>
internal static class Eventually
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(120);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(10);

    public static async Task TrueAsync(string what, Func<Task<bool>> reached)
    {
        using var limit = new CancellationTokenSource(Limit);
        while (!await reached())
        {
            if (limit.IsCancellationRequested) throw new TimeoutException($"not after {Limit.TotalSeconds} s: {what}");
            await Task.Delay(BetweenLooks);
        }
    }
}
