using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Api;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using DestinationActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Destination.DestinationState, MigrationCluster.Protocol.Destination.DestinationCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Destination.DestinationEffect>;
using Destinations = MigrationCluster.Protocol.Machines.IStateMachine<
    MigrationCluster.Protocol.Destination.DestinationState, MigrationCluster.Protocol.Destination.DestinationCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Destination.DestinationEffect>;
using SourceActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Source.SourceState, MigrationCluster.Protocol.Source.SourceCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Source.SourceEffect>;
using Sources = MigrationCluster.Protocol.Machines.IStateMachine<
    MigrationCluster.Protocol.Source.SourceState, MigrationCluster.Protocol.Source.SourceCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Source.SourceEffect>;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// The agent role: one transfer-session actor per migration and side, recovered from the agent's journal. A session that
/// has ended lets its connections go; its actor stays to answer orders that come again.
/// </summary>
public sealed class AgentSessions(
    IAgentJournal journal, ISessionHands hands, Sources sources, Destinations destinations, ISupervisor supervisor, TimeProvider time)
    : IAgentCommandHandler, IProgressSource, IHostedService, IDisposable
{
    private readonly ConcurrentDictionary<MigrationId, (SourceActor Actor, ISourceHands Hands)> _sources = [];
    private readonly ConcurrentDictionary<MigrationId, (DestinationActor Actor, IDestinationHands Hands)> _destinations = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _opening = new();

    /// <summary>Takes up every session of the journal that has not ended; its connections are gone, and it is told so.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var (migration, side) in journal.ListMigrations())
        {
            var events = journal.ReadMigration(migration, side).Select(numbered => numbered.Event);
            if (side == Side.Source)
            {
                var state = events.Aggregate(SourceState.New, sources.Evolve);
                if (HasEnded(state)) continue;
                var actor = Source(migration, state.Guest);
                using var looking = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                bool died = _sources[migration].Hands.WatchDeathAsync(looking.Token).IsCompleted;
                looking.Cancel();
                // Who died meanwhile has failed in nothing, and its watch tells of it.
                if (!died) await actor.AskAsync(new SourceCommand.Restarted(time.GetUtcNow()), cancellationToken);
            }
            else
            {
                var state = events.Aggregate(DestinationState.New, destinations.Evolve);
                if (HasEnded(state)) continue;
                await Destination(migration, state.Guest)
                    .AskAsync(new DestinationCommand.Restarted(time.GetUtcNow()), cancellationToken);
            }
        }
    }

    public async Task<ApiError?> HandleAsync(AgentCommand command, CancellationToken cancellationToken)
    {
        var decision = command.Side == Side.Source
            ? await Source(command.Migration, command.Guest)
                .AskAsync(new SourceCommand.Order(command, time.GetUtcNow()), cancellationToken)
            : await Destination(command.Migration, command.Guest)
                .AskAsync(new DestinationCommand.Order(command, time.GetUtcNow()), cancellationToken);
        if (command.Side == Side.Destination && decision is Accepted<AgentEvent>) _destinations[command.Migration].Hands.OnOrder();
        return decision is Refused<AgentEvent> refused
            ? new ApiError(refused.Code, refused.Reason, [new Reason(refused.Code, refused.Reason, "none: the order does not apply")])
            : null;
    }

    public IReadOnlyList<AgentProgress> Snapshot() =>
    [
        .. from open in _sources
        let progress = open.Value.Hands.Progress
        where progress is not null
        orderby open.Key.Value
        select new AgentProgress(open.Key, progress),
    ];

    public IReadOnlyList<SessionTrace> Sessions() =>
    [
        .. (from open in _sources
            let state = open.Value.Actor.State
            where !HasEnded(state) && state.Phase != SourcePhase.New
            select new SessionTrace(open.Key, Side.Source, state.Guest, state.Fence, state.Phase.ToString(), state.Failure))
            .Concat(
                from open in _destinations
                let state = open.Value.Actor.State
                where !HasEnded(state) && state.Phase != DestinationPhase.New
                select new SessionTrace(open.Key, Side.Destination, state.Guest, state.Fence, state.Phase.ToString(), state.Failure))
            .OrderBy(session => session.Migration.Value, StringComparer.Ordinal),
    ];

    /// <summary>Sessions rest; guests go on.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _stop.Cancel();
        foreach (var (_, (actor, open)) in _sources.OrderBy(pair => pair.Key.Value, StringComparer.Ordinal))
        {
            await actor.DisposeAsync();
            await open.DisposeAsync();
        }

        foreach (var (_, (actor, open)) in _destinations.OrderBy(pair => pair.Key.Value, StringComparer.Ordinal))
        {
            await actor.DisposeAsync();
            await open.DisposeAsync();
        }
    }

    public void Dispose() => _stop.Dispose();

    private SourceActor Source(MigrationId migration, GuestName guest)
    {
        lock (_opening)
        {
            if (_sources.TryGetValue(migration, out var open)) return open.Actor;
            string name = $"source/{migration}";
            var session = hands.Source(guest, name);
            var ending = new EndObserver<SourceState>(
                HasEnded, session.DisposeAsync, _stop.Token, state => session.Limit(state.MaxBytesPerSecond));
            var actor = new SourceActor(name, sources, SourceState.New, new AgentEventLog(journal, migration, Side.Source),
                session.Runner, supervisor, time, ending);
            session.State = () => actor.State;
            _sources[migration] = (actor, session);
            actor.Start();
            _ = WatchAsync(name, session.WatchDeathAsync, async cancel =>
                await actor.TellAsync(await session.ReportDeathAsync(cancel), cancel), ending.Ended);
            return actor;
        }
    }

    private DestinationActor Destination(MigrationId migration, GuestName guest)
    {
        lock (_opening)
        {
            if (_destinations.TryGetValue(migration, out var open)) return open.Actor;
            string name = $"destination/{migration}";
            var session = hands.Destination(guest, name);
            var ending = new EndObserver<DestinationState>(HasEnded, session.DisposeAsync, _stop.Token);
            var actor = new DestinationActor(name, destinations, DestinationState.New,
                new AgentEventLog(journal, migration, Side.Destination), session.Runner, supervisor, time, ending);
            session.State = () => actor.State;
            session.Launched = () =>
            {
                _ = WatchAsync(name, session.WatchDeathAsync, async cancel => await actor.TellAsync(
                    new DestinationCommand.GuestDied($"the incoming guest process of {guest} on the destination died", time.GetUtcNow()),
                    cancel), ending.Ended);
                DestinationCommand? died = null;
                _ = WatchAsync(name, async ended => died = await session.WatchDevicesAsync(ended),
                    async cancel => await actor.TellAsync(died!, cancel), ending.Ended);
            };
            _destinations[migration] = (actor, session);
            actor.Start();
            return actor;
        }
    }

    /// <summary>Tells a session that its guest process died, unless the session has ended by then.</summary>
    private async Task WatchAsync(
        string session, Func<CancellationToken, Task> death, Func<CancellationToken, Task> died, CancellationToken ended)
    {
        try
        {
            await death(ended);
            await died(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The session or the daemon ended first.
        }
        catch (Exception error)
        {
            supervisor.ChildFailed(new ActorFailure($"watch/{session}", error, Recovering: false));
        }
    }

    private static bool HasEnded(SourceState state) => state.Phase is SourcePhase.Kept or SourcePhase.Released;

    private static bool HasEnded(DestinationState state) =>
        state.Phase is DestinationPhase.Resumed or DestinationPhase.Discarded or DestinationPhase.Proven;
}

/// <summary>Lets a session's connections go when its machine has come to an end.</summary>
/// <param name="follow">hears of every state until then.</param>
internal sealed class EndObserver<TState>(
    Func<TState, bool> hasEnded, Func<ValueTask> release, CancellationToken stopping, Action<TState>? follow = null)
    : IMachineObserver<TState, AgentEvent>
{
    private readonly CancellationTokenSource _ended = CancellationTokenSource.CreateLinkedTokenSource(stopping);
    private bool _released;

    /// <summary>Cancelled when the session ends, or the daemon.</summary>
    public CancellationToken Ended => _ended.Token;

    public void OnRecovered(TState state, IReadOnlyList<AgentEvent> all) => Look(state);

    public void OnEvolved(TState state, IReadOnlyList<AgentEvent> events) => Look(state);

    private void Look(TState state)
    {
        if (_released) return;
        follow?.Invoke(state);
        if (!hasEnded(state)) return;
        _released = true;
        _ = ReleaseAsync();
    }

    /// <summary>Off the actor's loop: closing waits for the device actors.</summary>
    private async Task ReleaseAsync()
    {
        await Task.Yield();
        _ended.Cancel();
        await release();
    }
}
