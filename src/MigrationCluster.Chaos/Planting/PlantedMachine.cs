using MigrationCluster.Protocol.Machines;

namespace MigrationCluster.Chaos.Planting;

/// <summary>One of the product's machines with a defect put around it: what is not overridden is the real thing.</summary>
internal abstract class PlantedMachine<TState, TCommand, TEvent, TEffect>(IStateMachine<TState, TCommand, TEvent, TEffect> real)
    : IStateMachine<TState, TCommand, TEvent, TEffect>
{
    public virtual Decision<TEvent> Decide(TState state, TCommand command) => real.Decide(state, command);

    public TState Evolve(TState state, TEvent @event) => real.Evolve(state, @event);

    public virtual IReadOnlyList<TEffect> Pending(TState state) => real.Pending(state);

    protected static Decision<TEvent> Accept(params TEvent[] events) => new Accepted<TEvent>(events);
}
