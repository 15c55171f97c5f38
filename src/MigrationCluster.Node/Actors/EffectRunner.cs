namespace MigrationCluster.Node.Actors;

/// <summary>Carries a machine's effects out. Effects may run side by side and may be run again after a crash.</summary>
/// <param name="RunAsync">returns the command the effect ends in, or null where an answer comes by another way
/// (a feed). Cancelled when the machine no longer waits for the effect.</param>
/// <param name="Failed">turns an operating failure into a command; null: nothing to tell, the effect is tried again.</param>
public sealed record EffectRunner<TEffect, TCommand>(
    Func<TEffect, CancellationToken, Task<TCommand?>> RunAsync,
    Func<TEffect, Exception, TCommand?> Failed)
    where TCommand : class;
