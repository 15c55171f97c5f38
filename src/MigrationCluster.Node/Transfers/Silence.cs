namespace MigrationCluster.Node.Transfers;

/// <summary>How long a session has heard of nobody. It begins with the session, and anew with each life of the daemon.</summary>
public sealed class Silence(TimeProvider time)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromSeconds(1);

    /// <summary>A delay cuts off what is less, and would be over before any time had passed.</summary>
    private static readonly TimeSpan Grain = TimeSpan.FromMilliseconds(1);

    private long _heard = time.GetTimestamp();

    public void Break() => Volatile.Write(ref _heard, time.GetTimestamp());

    /// <summary>Completes when nobody has been heard of for as long as that.</summary>
    /// <param name="connected">the other side is there, whether or not it has anything to say.</param>
    public async Task LastsAsync(TimeSpan limit, Func<bool> connected, CancellationToken cancellationToken)
    {
        while (true)
        {
            if (connected()) Break();
            var left = limit - time.GetElapsedTime(Volatile.Read(ref _heard));
            if (left <= TimeSpan.Zero) return;
            await Task.Delay(left < BetweenLooks ? left + Grain : BetweenLooks, time, cancellationToken);
        }
    }
}
