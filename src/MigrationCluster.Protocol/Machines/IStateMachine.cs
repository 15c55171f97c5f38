namespace MigrationCluster.Protocol.Machines;

/// <summary>
/// A pure state machine. The shell in Node/Actors runs it: decide, persist, evolve, reply, start effects.
/// Effects are not returned by a decision but derived from the state: whatever <see cref="Pending"/> lists and is not
/// already under way gets started, live and after a crash alike, so no effect can be forgotten. Every effect
/// is therefore idempotent, and ends in a command.
/// </summary>
public interface IStateMachine<TState, TCommand, TEvent, TEffect>
{
    Decision<TEvent> Decide(TState state, TCommand command);

    /// <summary>Total: replay and live use it. Throws only for an event that no machine of this kind ever emitted.</summary>
    TState Evolve(TState state, TEvent @event);

    /// <summary>The effects this state waits for. Equal effects (by value) are the same effect.</summary>
    IReadOnlyList<TEffect> Pending(TState state);
}
