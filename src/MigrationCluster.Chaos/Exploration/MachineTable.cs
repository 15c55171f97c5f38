using MigrationCluster.Protocol.Machines;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>What a machine made of a command. Events are numbers of <see cref="MachineTable{TState,TCommand,TEvent,TEffect}.Events"/>.</summary>
/// <param name="Refusal">null: accepted.</param>
internal sealed record Turn(int State, int[] Events, string? Refusal);

/// <summary>
/// One of the product's machines, asked each question once: states, commands and events are numbers, and the answer of
/// Decide and Evolve to (state, command) is remembered. The machines are pure, so nothing is lost by it.
/// </summary>
/// <param name="forget">drops what no decision depends on (reasons in words), so that it makes no new states.</param>
internal sealed class MachineTable<TState, TCommand, TEvent, TEffect>(
    IStateMachine<TState, TCommand, TEvent, TEffect> machine, Interner<TEvent> events, Func<TState, TState> forget)
    where TState : class
    where TCommand : class
    where TEvent : class
{
    private readonly Dictionary<long, Turn> _turns = [];
    private readonly Dictionary<int, IReadOnlyList<TEffect>> _pending = [];

    public Interner<TState> States { get; } = new();

    public Interner<TCommand> Commands { get; } = new();

    public Interner<TEvent> Events => events;

    public Turn Step(int state, int command)
    {
        long key = ((long)state << 32) | (uint)command;
        if (!_turns.TryGetValue(key, out var turn)) _turns[key] = turn = Ask(state, Commands[command]);
        return turn;
    }

    /// <summary>For a journal that several write: the state after events that another state's decision made.</summary>
    public int Evolve(int state, Turn turn) =>
        States.Of(forget(turn.Events.Aggregate(States[state], (before, e) => machine.Evolve(before, events[e]))));

    public IReadOnlyList<TEffect> Pending(int state)
    {
        if (!_pending.TryGetValue(state, out var effects)) _pending[state] = effects = machine.Pending(States[state]);
        return effects;
    }

    private Turn Ask(int state, TCommand command)
    {
        var before = States[state];
        var decision = machine.Decide(before, command);
        if (decision is Refused<TEvent> refused) return new Turn(state, [], $"{refused.Code}: {refused.Reason}");
        var made = ((Accepted<TEvent>)decision).Events;
        if (made.Count == 0) return new Turn(state, [], null);
        return new Turn(States.Of(forget(made.Aggregate(before, machine.Evolve))), [.. made.Select(events.Of)], null);
    }
}
