using MigrationCluster.Devices.Faults;
using MigrationCluster.Protocol.Machines;

namespace MigrationCluster.Node.Actors;

/// <summary>
/// The shell around a pure machine, written once:
///
/// <code>
///   command -> Decide -> append events -> Evolve -> observers -> reply -> start what Pending lists and is not under way
///                 ^                                                                    |
///                 +---------------- the command an effect ends in ---------------------+
/// </code>
///
/// Nobody hears of an event before it is in the log. Effects are derived from the state, live and after a crash alike:
/// one that ended and is still pending is started again after a back-off, one that is no longer pending is cancelled, and
/// an effect never runs twice at a time. So effects happen at least once, and are idempotent. A crash of a message rebuilds the
/// state from the log; effects under way go on and are held against the rebuilt state's Pending.
///
/// Failpoints: <c>before:EVENT</c> and <c>after:EVENT</c> its append, <c>effect:EFFECT</c> when one has acted and nobody has heard of it yet;
/// their scope is the machine's name.
/// </summary>
public sealed class MachineActor<TState, TCommand, TEvent, TEffect>
    : Actor<MachineActor<TState, TCommand, TEvent, TEffect>.Message>
    where TState : notnull
    where TCommand : class
    where TEffect : class
{
    private static readonly string Scope = typeof(TEffect).Name.Replace("Effect", "", StringComparison.Ordinal).ToLowerInvariant();

    private readonly IStateMachine<TState, TCommand, TEvent, TEffect> _machine;
    private readonly TState _initial;
    private readonly IEventLog<TEvent> _log;
    private readonly EffectRunner<TEffect, TCommand> _runner;
    private readonly IMachineObserver<TState, TEvent>? _observer;
    private readonly Dictionary<TEffect, Flight> _flights = [];
    private readonly Dictionary<TEffect, int> _ended = [];
    private volatile object _state;

    public MachineActor(
        string name,
        IStateMachine<TState, TCommand, TEvent, TEffect> machine,
        TState initial,
        IEventLog<TEvent> log,
        EffectRunner<TEffect, TCommand> runner,
        ISupervisor supervisor,
        TimeProvider time,
        IMachineObserver<TState, TEvent>? observer = null,
        int mailboxSize = 256)
        : base(name, supervisor, time, mailboxSize)
    {
        (_machine, _initial, _log, _runner, _observer) = (machine, initial, log, runner, observer);
        _state = initial;
    }

    /// <summary>The state after the last handled message. For views; decisions are made in the mailbox only.</summary>
    public TState State => (TState)_state;

    /// <summary>Answers once the events the machine made of the command are persisted.</summary>
    /// <exception cref="ActorFailedException">whether anything was persisted is unknown; ask again, commands are idempotent.</exception>
    public Task<Decision<TEvent>> AskAsync(TCommand command, CancellationToken cancellationToken) =>
        AskAsync<Decision<TEvent>>(reply => new Message.Command(command, reply), cancellationToken);

    /// <summary>Puts a command into the mailbox.</summary>
    public ValueTask TellAsync(TCommand command, CancellationToken cancellationToken) =>
        PostAsync(new Message.Command(command, null), cancellationToken);

    protected override async ValueTask RecoverAsync(CancellationToken cancellationToken)
    {
        var events = await _log.ReadAsync(cancellationToken);
        var state = events.Aggregate(_initial, _machine.Evolve);
        _state = state;
        _observer?.OnRecovered(state, events);
        StartPending();
    }

    protected override async ValueTask HandleAsync(Message message, CancellationToken cancellationToken)
    {
        switch (message)
        {
            case Message.Command(var command, var reply):
                var decision = await StepAsync(command, cancellationToken);
                reply?.TrySetResult(decision);
                break;
            case Message.EffectEnded(var effect, var command):
                _flights.Remove(effect);
                _ended[effect] = _ended.GetValueOrDefault(effect) + 1;
                if (command is not null) await StepAsync(command, cancellationToken);
                break;
        }

        StartPending();
    }

    protected override async ValueTask StoppedAsync()
    {
        foreach (var flight in _flights.Values) flight.Cancel.Cancel();
        await Task.WhenAll(_flights.Values.Select(flight => flight.Task));
        foreach (var flight in _flights.Values) flight.Cancel.Dispose();
        _flights.Clear();
    }

    private async ValueTask<Decision<TEvent>> StepAsync(TCommand command, CancellationToken cancellationToken)
    {
        var decision = _machine.Decide(State, command);
        if (decision is Accepted<TEvent>({ Count: > 0 } events))
        {
            Reach("before", events);
            await _log.AppendAsync(events, cancellationToken);
            Reach("after", events);
            var state = events.Aggregate(State, _machine.Evolve);
            _state = state;
            _observer?.OnEvolved(state, events);
        }

        return decision;
    }

    private static void Reach(string when, IReadOnlyList<TEvent> events)
    {
        if (!Failpoints.Armed) return;
        foreach (var e in events) Failpoints.Reach(Scope, when, StepName.Of(e!));
    }

    private void StartPending()
    {
        var pending = _machine.Pending(State).ToHashSet();
        foreach (var (effect, flight) in _flights)
            if (!pending.Contains(effect))
                flight.Cancel.Cancel();
        foreach (var effect in _ended.Keys.Where(effect => !pending.Contains(effect)).ToList()) _ended.Remove(effect);
        foreach (var effect in pending)
        {
            // A cancelled flight that is pending again must land before it may start anew: its end comes as a message.
            if (_flights.ContainsKey(effect)) continue;
            var wait = _ended.TryGetValue(effect, out int times) ? BackOff.Delay(times - 1) : TimeSpan.Zero;
            var cancel = new CancellationTokenSource();
            _flights[effect] = new Flight(FlyAsync(effect, wait, cancel), cancel);
        }
    }

    /// <summary>Never throws: its end, whatever it was, is a message to this actor.</summary>
    private async Task FlyAsync(TEffect effect, TimeSpan wait, CancellationTokenSource cancel)
    {
        // Off the actor's loop: an effect's synchronous beginning must not hold up the mailbox.
        await Task.Yield();
        TCommand? command = null;
        try
        {
            if (wait > TimeSpan.Zero) await Task.Delay(wait, Time, cancel.Token);
            command = await _runner.RunAsync(effect, cancel.Token);
            if (Failpoints.Armed) Failpoints.Reach(Scope, "effect", StepName.Of(effect));
        }
        catch (Exception) when (cancel.IsCancellationRequested)
        {
            // Nobody waits for it any more; how it broke off does not matter.
        }
        catch (Exception error)
        {
            command = Translate(effect, error);
        }

        try
        {
            await PostAsync(new Message.EffectEnded(effect, command), Stopping);
        }
        catch (Exception error) when (error is OperationCanceledException or ActorStoppedException)
        {
            // Stopping: the effect is derived again from the log.
        }
    }

    private TCommand? Translate(TEffect effect, Exception error)
    {
        try
        {
            return _runner.Failed(effect, error);
        }
        catch (Exception inner)
        {
            Supervisor.ChildFailed(new ActorFailure($"{Name}/{effect.GetType().Name}", inner, Recovering: false));
            return null;
        }
    }

    private sealed record Flight(Task Task, CancellationTokenSource Cancel);

    /// <summary>What comes into this actor's mailbox.</summary>
    public abstract record Message
    {
        private Message()
        {
        }

        internal sealed record Command(TCommand Value, TaskCompletionSource<Decision<TEvent>>? Reply) : Message;

        internal sealed record EffectEnded(TEffect Effect, TCommand? Result) : Message;
    }
}
