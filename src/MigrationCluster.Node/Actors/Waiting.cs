namespace MigrationCluster.Node.Actors;

/// <summary>How the shell waits: whatever it waits for, it goes on where it began, on the pool in a daemon and on one thread in a
/// simulation. So nothing here awaits with ConfigureAwait(false) or passes through the pool by itself (Task.Run, CancelAsync,
/// SemaphoreSlim.WaitAsync with a token, WaitAsync, WhenAll or WhenAny on what completes its waiters asynchronously, as a cancelled delay does).</summary>
public static class Waiting
{
    /// <summary>For a wait whose end is looked at afterwards: a cancelled delay throws nothing.</summary>
    public const ConfigureAwaitOptions Quietly =
        ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext;
}
