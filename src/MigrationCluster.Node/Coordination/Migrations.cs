using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Api;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Cluster;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Coordinator.CoordinatorState, MigrationCluster.Protocol.Coordinator.CoordinatorCommand,
    MigrationCluster.Protocol.Coordinator.CoordinatorEvent, MigrationCluster.Protocol.Coordinator.CoordinatorEffect>;

namespace MigrationCluster.Node.Coordination;

/// <summary>The coordinator role: one actor per migration, planned here, carried on after a restart under a higher term.</summary>
public sealed class Migrations(
    IGuestRows rows, IMigrationJournal journal, IMigrationOwnership ownership, IAgents agents, DestinationChoice destinations,
    ISupervisor supervisor, TimeProvider time)
    : IMigrations, IAgentEventSink, IHostedService, IDisposable
{
    private static readonly TimeSpan WatchLimit = TimeSpan.FromSeconds(10);
    private static readonly CoordinatorMachine Machine = new();
    private const int LongestOperatorName = 64;

    private readonly ConcurrentDictionary<MigrationId, Running> _running = [];
    private readonly SemaphoreSlim _planning = new(1, 1);

    /// <summary>Takes every migration of the journal over; those that have ended only for their views.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var id in await journal.ListAsync(cancellationToken))
        {
            var events = (await journal.ReadAsync(id, cancellationToken))
                .Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).ToList();
            var state = events.Aggregate(CoordinatorState.New, Machine.Evolve);
            if (state.Plan is not { } plan) continue;
            if (state.Ended)
            {
                var ended = new MigrationProjection();
                ended.OnRecovered(state, events);
                _running[id] = new Running(null, ended);
                continue;
            }

            var term = await ownership.AcquireAsync(id, cancellationToken);
            var actor = Start(id, plan.Guest, new Fence(state.Fence.Epoch, term));
            await actor.AskAsync(new CoordinatorCommand.TakeOver(term, time.GetUtcNow()), cancellationToken);
        }
    }

    public async Task<Answer<MigrationView>> CreateAsync(MigrateRequest request, CancellationToken cancellationToken)
    {
        await _planning.WaitAsync(cancellationToken);
        try
        {
            var (planned, refusal) = await PlanAsync(request, cancellationToken);
            if (planned is not { Guest: { Record: var record } guest, Destination: var destination }) return refusal!;
            var id = new MigrationId("m-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)));
            if (record.Row.Open(id, destination) is not { } row) return Migrating(record.Row);
            if (!await rows.CompareAndSwapAsync(record, record with { Row = row }, cancellationToken))
                return HttpRefusal.Conflict(ErrorCodes.GuestMigrating,
                    $"{row.Guest} changed while this migration was planned", "look at the guest, then ask again");

            var fence = new Fence(row.Epoch, await ownership.AcquireAsync(id, cancellationToken));
            var plan = new MigrationPlan(
                id, row.Guest, row.Owner, destination, fence, record.SpecJson, TimeSpan.FromMilliseconds(request.MaxDowntimeMs),
                guest.Configuration, request.AcceptUnknownBy, planned.Findings);
            var actor = Start(id, row.Guest, fence);
            await actor.AskAsync(new CoordinatorCommand.Begin(plan, time.GetUtcNow()), cancellationToken);
            return Get(id.Value);
        }
        finally
        {
            _planning.Release();
        }
    }

    public Task<IReadOnlyList<MigrationView>> ListAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<MigrationView>>([.. _running.Values.Select(running => running.Projection.Read().View).OfType<MigrationView>()
            .OrderBy(view => view.StartedAt)]);

    public Task<Answer<MigrationView>> GetAsync(string id, CancellationToken cancellationToken) =>
        Task.FromResult(Get(id));

    private Answer<MigrationView> Get(string id) =>
        Find(id)?.Projection.Read().View is { } view ? view : NoMigration(id);

    public async Task<Answer<MigrationView>> WatchAsync(string id, long afterVersion, CancellationToken cancellationToken)
    {
        if (Find(id) is not { Projection: var projection }) return NoMigration(id);
        using var limit = new CancellationTokenSource(WatchLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        while (true)
        {
            var (view, changed) = projection.Read();
            if (view is not null && (view.Version > afterVersion || limit.IsCancellationRequested)) return view;
            await changed.WaitAsync(either.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public async Task<Answer<MigrationView>> CancelAsync(string id, CancellationToken cancellationToken)
    {
        if (Find(id) is not { } running) return NoMigration(id);
        if (running.Actor is null)
            return HttpRefusal.Conflict(ErrorCodes.MigrationEnded, $"{id} has already ended: {Get(id).Value!.Phase}", "nothing to do");
        var decision = await running.Actor.AskAsync(new CoordinatorCommand.Cancel(time.GetUtcNow()), cancellationToken);
        return decision is Refused<CoordinatorEvent> refused
            ? HttpRefusal.Conflict(refused.Code, refused.Reason, "let it end, then migrate the guest back if need be")
            : Get(id);
    }

    /// <summary>The migration of this guest that has not ended, or null.</summary>
    public string? OpenMigrationOf(GuestName guest) => _running
        .Where(pair => pair.Value.Actor is { State: { Ended: false, Plan: { } plan } } && plan.Guest == guest)
        .Select(pair => pair.Key.Value).FirstOrDefault();

    public async Task OnEventsAsync(
        HostName agent, IReadOnlyList<NumberedAgentEvent> events, IReadOnlyList<AgentProgress> progress,
        CancellationToken cancellationToken)
    {
        foreach (var numbered in events)
            if (_running.TryGetValue(numbered.Event.Migration, out var running) && running.Actor is { } actor)
                await actor.AskAsync(new CoordinatorCommand.Hear(numbered.Event, time.GetUtcNow()), cancellationToken);
        foreach (var snapshot in progress)
            if (_running.TryGetValue(snapshot.Migration, out var running))
                running.Projection.OnProgress(snapshot.Progress);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        foreach (var running in _running.Values)
            if (running.Actor is { } actor)
                await actor.DisposeAsync();
    }

    public void Dispose() => _planning.Dispose();

    /// <summary>Everything that can be known before the row is touched; a refusal names every reason.</summary>
    private async Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> PlanAsync(
        MigrateRequest request, CancellationToken cancellationToken)
    {
        var guest = new GuestName(request.Guest);
        if (await rows.ReadAsync(guest, cancellationToken) is not { Placement: Placement.Placed } record)
            return (null, HttpRefusal.NotFound(ErrorCodes.GuestUnknown, $"there is no guest {guest}", "see `migctl guest list`"));
        if (record.Row.Decision == OwnershipDecision.Undecided || OpenMigrationOf(guest) is not null)
            return (null, Migrating(record.Row));
        if (request.MaxDowntimeMs < 1)
            return (null, HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, $"maxDowntimeMs must be at least 1, not {request.MaxDowntimeMs}", "allow some downtime"));
        if (request.AcceptUnknownBy is { } name && (string.IsNullOrWhiteSpace(name) || name.Length > LongestOperatorName))
            return (null, HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, "acceptUnknownBy is no operator's name", $"give 1 to {LongestOperatorName} characters"));
        return await destinations.ChooseAsync(record, request.To, request.AcceptUnknownBy is not null, cancellationToken);
    }

    private MigrationActor Start(MigrationId id, GuestName guest, Fence fence)
    {
        var projection = new MigrationProjection();
        var effects = new CoordinatorEffects(id, guest, rows, agents, time);
        var actor = new MigrationActor($"migration/{id}", Machine, CoordinatorState.New,
            new MigrationEventLog(journal, id, fence), effects.Runner, supervisor, time, projection);
        effects.State = () => actor.State;
        _running[id] = new Running(actor, projection);
        actor.Start();
        return actor;
    }

    private Running? Find(string id) => _running.GetValueOrDefault(new MigrationId(id));

    private static HttpRefusal NoMigration(string id) =>
        HttpRefusal.NotFound(ErrorCodes.MigrationUnknown, $"there is no migration {id}", "see `migctl migration list`");

    private static HttpRefusal Migrating(GuestRow row) => HttpRefusal.Conflict(
        ErrorCodes.GuestMigrating, $"{row.Guest} is already migrating to {row.Destination}: {row.Attempt}",
        $"watch it with `migctl migration watch {row.Attempt}`, or cancel it");

    /// <param name="Actor">null: the migration ended under an earlier run of this daemon.</param>
    private sealed record Running(MigrationActor? Actor, MigrationProjection Projection);
}
