using System.Collections.Concurrent;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Api;
using MigrationCluster.DataPlane;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;
using DestinationActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Destination.DestinationState, MigrationCluster.Protocol.Destination.DestinationCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Destination.DestinationEffect>;
using SourceActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Source.SourceState, MigrationCluster.Protocol.Source.SourceCommand,
    MigrationCluster.Protocol.Migration.AgentEvent, MigrationCluster.Protocol.Source.SourceEffect>;

namespace MigrationCluster.Node.Transfers;

/// <summary>
/// The agent role: one transfer-session actor per migration and side, recovered from the agent's journal. A session that
/// has ended lets its connections go; its actor stays to answer orders that come again.
/// </summary>
public sealed class AgentSessions(
    AgentJournal journal, GuestHost host, DataDirectory data, DataPlaneListener dataPlane, ISupervisor supervisor, TimeProvider time)
    : IAgentCommandHandler, IProgressSource, IHostedService, IDisposable
{
    private static readonly SourceMachine Sources = new();
    private static readonly DestinationMachine Destinations = new();

    private readonly ConcurrentDictionary<MigrationId, (SourceActor Actor, SourceSession Session)> _sources = [];
    private readonly ConcurrentDictionary<MigrationId, (DestinationActor Actor, DestinationSession Session)> _destinations = [];
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
                var state = events.Aggregate(SourceState.New, Sources.Evolve);
                if (HasEnded(state)) continue;
                await Source(migration, state.Guest).AskAsync(new SourceCommand.Restarted(time.GetUtcNow()), cancellationToken);
            }
            else
            {
                var state = events.Aggregate(DestinationState.New, Destinations.Evolve);
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
        return decision is Refused<AgentEvent> refused
            ? new ApiError(refused.Code, refused.Reason, [new Reason(refused.Code, refused.Reason, "none: the order does not apply")])
            : null;
    }

    public IReadOnlyList<AgentProgress> Snapshot() =>
    [
        .. _sources.Where(pair => pair.Value.Session.Transfer is not null).Select(pair =>
            new AgentProgress(pair.Key, ProgressOf(pair.Value.Actor.State, pair.Value.Session))),
    ];

    /// <summary>Sessions rest; guests go on.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _stop.CancelAsync();
        foreach (var (actor, session) in _sources.Values)
        {
            await actor.DisposeAsync();
            await session.DisposeAsync();
        }

        foreach (var (actor, session) in _destinations.Values)
        {
            await actor.DisposeAsync();
            await session.DisposeAsync();
        }

    }

    public void Dispose() => _stop.Dispose();

    private SourceActor Source(MigrationId migration, GuestName guest)
    {
        lock (_opening)
        {
            if (_sources.TryGetValue(migration, out var open)) return open.Actor;
            string name = $"source/{migration}";
            var here = new SessionGuest(guest, host, data);
            var session = new SourceSession(here, name, supervisor, time);
            var ending = new EndObserver<SourceState>(HasEnded, session.DisposeAsync);
            var actor = new SourceActor(name, Sources, SourceState.New, new AgentEventLog(journal, migration, Side.Source),
                session.Runner, supervisor, time, ending);
            session.State = () => actor.State;
            _sources[migration] = (actor, session);
            actor.Start();
            _ = WatchAsync(here, ending, async cancel =>
                await actor.TellAsync(await session.ReportDeathAsync(cancel), cancel));
            return actor;
        }
    }

    private DestinationActor Destination(MigrationId migration, GuestName guest)
    {
        lock (_opening)
        {
            if (_destinations.TryGetValue(migration, out var open)) return open.Actor;
            string name = $"destination/{migration}";
            var here = new SessionGuest(guest, host, data);
            var session = new DestinationSession(here, dataPlane, name, supervisor, time);
            var ending = new EndObserver<DestinationState>(HasEnded, session.DisposeAsync);
            var actor = new DestinationActor(name, Destinations, DestinationState.New,
                new AgentEventLog(journal, migration, Side.Destination), session.Runner, supervisor, time, ending);
            session.State = () => actor.State;
            session.Launched = () => _ = WatchAsync(here, ending, async cancel => await actor.TellAsync(
                new DestinationCommand.GuestDied($"the incoming guest process of {guest} on the destination died", time.GetUtcNow()),
                cancel));
            _destinations[migration] = (actor, session);
            actor.Start();
            return actor;
        }
    }

    /// <summary>Tells a session that its guest process died, unless the session has ended by then.</summary>
    private async Task WatchAsync<TState>(SessionGuest guest, EndObserver<TState> ending, Func<CancellationToken, Task> died)
    {
        try
        {
            var death = guest.WatchDeathAsync(_stop.Token);
            await Task.WhenAny(death, ending.Ended);
            if (ending.Ended.IsCompleted) return;
            await death;
            await died(_stop.Token);
        }
        catch (OperationCanceledException)
        {
            // The session or the daemon ended first.
        }
        catch (Exception error)
        {
            supervisor.ChildFailed(new ActorFailure($"watch/{guest.Name}", error, Recovering: false));
        }
    }

    private static bool HasEnded(SourceState state) => state.Phase is SourcePhase.Kept or SourcePhase.Released;

    private static bool HasEnded(DestinationState state) =>
        state.Phase is DestinationPhase.Resumed or DestinationPhase.Discarded or DestinationPhase.Proven;

    private static ProgressView ProgressOf(SourceState state, SourceSession session)
    {
        var transfer = session.Transfer;
        var counters = transfer?.Counters ?? default;
        return new ProgressView(
            state.Iteration + (state.Phase == SourcePhase.PreCopy ? 1 : 0),
            transfer?.RemainingBytes ?? 0,
            counters.PageBytes + counters.DeviceBytes,
            counters.BytesPerSecond,
            transfer?.DirtyBytesPerSecond ?? 0,
            [
                .. (session.Devices?.InOrder ?? []).Select(device => new DeviceProgressView(
                    device.Device.Value,
                    state.Devices.TryGetValue(device.Device.Value, out var planned) ? planned.State.ToString() : "",
                    device.SentBytes,
                    null)),
            ]);
    }
}

/// <summary>Lets a session's connections go when its machine has come to an end.</summary>
internal sealed class EndObserver<TState>(Func<TState, bool> hasEnded, Func<ValueTask> release)
    : IMachineObserver<TState, AgentEvent>
{
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Ends with the session.</summary>
    public Task Ended => _ended.Task;

    public void OnRecovered(TState state, IReadOnlyList<AgentEvent> all) => Look(state);

    public void OnEvolved(TState state, IReadOnlyList<AgentEvent> events) => Look(state);

    private void Look(TState state)
    {
        if (hasEnded(state) && _ended.TrySetResult()) _ = ReleaseAsync();
    }

    /// <summary>Off the actor's loop: closing waits for the device actors.</summary>
    private async Task ReleaseAsync()
    {
        await Task.Yield();
        await release();
    }
}
