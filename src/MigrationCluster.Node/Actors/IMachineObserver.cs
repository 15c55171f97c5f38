namespace MigrationCluster.Node.Actors;

/// <summary>Watches one machine: API views, watchers. Called on the actor's loop, so it must be quick.</summary>
public interface IMachineObserver<in TState, in TEvent>
{
    /// <summary>The state was built anew from the log; forget what was derived before.</summary>
    /// <param name="all">the whole log, possibly empty.</param>
    void OnRecovered(TState state, IReadOnlyList<TEvent> all);

    /// <summary>These events are persisted and <paramref name="state"/> includes them. Not called for none.</summary>
    void OnEvolved(TState state, IReadOnlyList<TEvent> events);
}
