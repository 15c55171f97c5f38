using System.Collections.Concurrent;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Cluster;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using Coordinators = MigrationCluster.Protocol.Machines.IStateMachine<
    MigrationCluster.Protocol.Coordinator.CoordinatorState, MigrationCluster.Protocol.Coordinator.CoordinatorCommand,
    MigrationCluster.Protocol.Coordinator.CoordinatorEvent, MigrationCluster.Protocol.Coordinator.CoordinatorEffect>;
using MigrationActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Coordinator.CoordinatorState, MigrationCluster.Protocol.Coordinator.CoordinatorCommand,
    MigrationCluster.Protocol.Coordinator.CoordinatorEvent, MigrationCluster.Protocol.Coordinator.CoordinatorEffect>;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// The coordinator role: one actor per migration that this coordinator has taken on. Other coordinators of the same store have
/// theirs; what one leaves behind (it died, it stopped, its lease ran out) the next <see cref="Tenures"/> round of another takes on under a higher
/// term. Any coordinator shows every migration, and passes on what an operator asks that is another's to decide.
/// </summary>
public sealed class Migrations(
    IGuestRows rows, IMigrationJournal journal, IMigrationOwnership ownership, IAgents agents, DestinationChoice destinations,
    Coordinators machine, Func<MigrationId> newId, NodeIdentity node, ISupervisor supervisor, TimeProvider time,
    Credentials? credentials = null, CostBook? costs = null)
    : IMigrations, IAgentEventSink, IAsyncDisposable
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan WatchLimit = TimeSpan.FromSeconds(10);
    private const int LongestOperatorName = 64;
    private const int MostIterations = 1000;

    private readonly ConcurrentDictionary<MigrationId, RunningMigration> _running = [];
    private readonly ConcurrentDictionary<MigrationId, MigrationProjection> _elsewhere = [];
    private readonly ConcurrentDictionary<MigrationId, MigrationView> _ended = [];
    private (DateTimeOffset Since, string Why)? _storeAway;
    private readonly SemaphoreSlim _planning = new(1, 1);
    private readonly SemaphoreSlim _opening = new(1, 1);

    /// <summary>A round of this coordinator's tenure. Never between a migration's first term and its actor: it would take that one on anew.</summary>
    /// <param name="taking">taken on in an earlier round, and not yet among those that run.</param>
    public async Task<Tenure> RenewAsync(
        IEnumerable<MigrationId> taking, string? address, TimeSpan lease, CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(CancellationToken.None);
        try
        {
            return await ownership.RenewAsync([.. _running.Keys.Union(taking)], address, lease, cancellationToken);
        }
        finally
        {
            _opening.Release();
        }
    }

    /// <summary>How the store stands, round after round.</summary>
    /// <param name="problem">why it does not answer; null: it does.</param>
    public void StoreStands(string? problem)
    {
        _storeAway = problem is null ? null : (_storeAway?.Since ?? time.GetUtcNow(), _storeAway?.Why ?? problem);
        foreach (var running in _running.Values) running.Projection.OnStoreAway(_storeAway);
        foreach (var shown in _elsewhere.Values) shown.OnStoreAway(_storeAway);
    }

    /// <summary>Takes on a migration that is this coordinator's under <paramref name="term"/> from now on.</summary>
    public async Task TakeOnAsync(MigrationId id, Term term, CancellationToken cancellationToken)
    {
        var (state, events) = await ReadAsync(id, cancellationToken);
        await LetGoAsync(id);
        _elsewhere.TryRemove(id, out _);
        if (state.Plan is not { } plan)
        {
            await GiveUpUnplannedAsync(id, cancellationToken);
            return;
        }

        if (state.Ended)
        {
            // Where it has lost entries since, the next round takes it on again.
            await ownership.EndAsync(id, events.Count, cancellationToken);
            return;
        }

        var running = Start(id, plan.Guest, new Fence(state.Fence.Epoch, term));
        await running.Actor.AskAsync(new CoordinatorCommand.TakeOver(term, time.GetUtcNow(), node.Name), cancellationToken);
        await running.CatchUpAsync(plan, events, cancellationToken);
    }

    /// <summary>Lets go of a migration: another coordinator has it, or it has ended.</summary>
    public async Task LetGoAsync(MigrationId id)
    {
        if (_running.TryRemove(id, out var running)) await running.DisposeAsync();
    }

    /// <summary>A later term has it. Should that still be this coordinator's, the next round finds it in nobody's hands and takes it on.</summary>
    private async Task LetGoAsync(RunningMigration fencedOut)
    {
        if (_running.TryRemove(KeyValuePair.Create(fencedOut.Id, fencedOut))) await fencedOut.DisposeAsync();
    }

    /// <summary>Marks what has ended as such in the store, so that nobody takes it on again, and lets go of it. A store that crashed may have lost the
    /// entries that said so, which nobody has written since: then a later round takes it on as its journal stands, and hears the end once more.</summary>
    public async Task LetGoOfEndedAsync(CancellationToken cancellationToken)
    {
        foreach (var id in _running.Where(pair => pair.Value.Actor.State.Ended).Select(pair => pair.Key).OrderBy(id => id.Value, StringComparer.Ordinal))
        {
            var (state, events) = await ReadAsync(id, cancellationToken);
            if (state.Ended && await ownership.EndAsync(id, events.Count, cancellationToken)
                && _running.TryGetValue(id, out var ended) && ended.Projection.Read().View is { } view) _ended[id] = view;
            await LetGoAsync(id);
        }
    }

    public async Task<Answer<MigrationView>> CreateAsync(MigrateRequest request, CancellationToken cancellationToken)
    {
        await _planning.WaitAsync(CancellationToken.None);
        try
        {
            var (planned, refusal) = await PlanAsync(request, cancellationToken);
            if (planned is not { Guest.Record: var record, Destination: var destination }) return refusal!;
            var id = newId();
            if (record.Row.Open(id, destination) is not { } row) return Migrating(record.Row);
            var learned = costs is null ? null : await costs.LearnAsync(record.Row.Owner, destination, cancellationToken);
            if (await OpenAsync(request, id, record, row, planned, learned, cancellationToken) is not var (actor, plan)) return Changed(row);
            try
            {
                await actor.AskAsync(new CoordinatorCommand.Begin(plan, time.GetUtcNow(), node.Name), cancellationToken);
            }
            catch
            {
                // Whether the plan is in the journal is not known: a later round takes the migration on as it finds it, or gives it up.
                await LetGoAsync(id);
                throw;
            }

            return await GetAsync(id.Value, cancellationToken);
        }
        finally
        {
            _planning.Release();
        }
    }

    /// <summary>The first term, then the row, so that a row opened for a migration that was never planned is found and closed by whoever comes next.</summary>
    /// <returns>null: the guest changed meanwhile.</returns>
    private async Task<(MigrationActor Actor, MigrationPlan Plan)?> OpenAsync(
        MigrateRequest request, MigrationId id, GuestRecord record, GuestRow row, ChosenHost chosen, LearnedCosts? learned,
        CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(CancellationToken.None);
        try
        {
            var fence = new Fence(row.Epoch, await ownership.AcquireAsync(id, cancellationToken));
            if (!await rows.CompareAndSwapAsync(record, record with { Row = row }, cancellationToken)) return null;
            var plan = new MigrationPlan(
                id, row.Guest, row.Owner, chosen.Destination, fence, record.SpecJson, TimeSpan.FromMilliseconds(request.MaxDowntimeMs),
                chosen.Guest.Configuration, request.AcceptUnknownBy, chosen.Findings, request.AcceptPlainBy, request.VerifyFull,
                request.MaxBytesPerSecond, ConvergenceViews.Policy(request), learned);
            return (Start(id, row.Guest, fence).Actor, plan);
        }
        finally
        {
            _opening.Release();
        }
    }

    public async Task<IReadOnlyList<MigrationView>> ListAsync(CancellationToken cancellationToken)
    {
        var views = new List<MigrationView>();
        foreach (var id in await ListIdsAsync(cancellationToken))
            if (await LookAsync(id, cancellationToken) is { } view)
                views.Add(view);
        return [.. views.OrderBy(view => view.StartedAt)];
    }

    /// <summary>While the store does not answer, those that this coordinator knows: what is in doubt is among them.</summary>
    private async Task<IReadOnlyList<MigrationId>> ListIdsAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await journal.ListAsync(cancellationToken);
        }
        catch (IOException) when (!_running.IsEmpty || !_elsewhere.IsEmpty)
        {
            return [.. _running.Keys.Union(_elsewhere.Keys).Union(_ended.Keys)];
        }
    }

    public async Task<Answer<MigrationView>> GetAsync(string id, CancellationToken cancellationToken) =>
        await LookAsync(new MigrationId(id), cancellationToken) is { } view ? view : NoMigration(id);

    public async Task<Answer<MigrationView>> WatchAsync(string id, long afterVersion, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(WatchLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        while (true)
        {
            // Taken before the look: a change between the two ends the wait. Another coordinator's migration is looked at again and again.
            var changed = Find(id)?.Projection.Read().Changed ?? Task.Delay(BetweenLooks, time, either.Token);
            if (await LookAsync(new MigrationId(id), cancellationToken) is not { } view) return NoMigration(id);
            if (view.Version > afterVersion || limit.IsCancellationRequested) return view;
            await changed.WaitAsync(either.Token).ConfigureAwait(Waiting.Quietly);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    public async Task<Answer<MigrationView>> CancelAsync(string id, CancellationToken cancellationToken)
    {
        if (Find(id) is not { Actor: var actor })
            return await AskElsewhereAsync(id, client => client.CancelMigrationAsync(id, cancellationToken), cancellationToken);
        var decision = await actor.AskAsync(new CoordinatorCommand.Cancel(time.GetUtcNow()), cancellationToken);
        return decision is Refused<CoordinatorEvent> refused
            ? HttpRefusal.Conflict(refused.Code, refused.Reason, "let it end, then migrate the guest back if need be")
            : await GetAsync(id, cancellationToken);
    }

    public async Task<Answer<MigrationView>> LimitBandwidthAsync(string id, BandwidthRequest request, CancellationToken cancellationToken)
    {
        if (RefuseBandwidth(request.MaxBytesPerSecond) is { } wrong) return wrong;
        if (Find(id) is not { Actor: var actor })
            return await AskElsewhereAsync(id, client => client.LimitMigrationAsync(id, request, cancellationToken), cancellationToken);
        var decision = await actor.AskAsync(
            new CoordinatorCommand.LimitBandwidth(request.MaxBytesPerSecond, time.GetUtcNow()), cancellationToken);
        return decision is Refused<CoordinatorEvent> refused
            ? HttpRefusal.Conflict(refused.Code, refused.Reason, "none: what is left of the transfer goes as fast as it can")
            : await GetAsync(id, cancellationToken);
    }

    /// <returns>null: it can be kept to.</returns>
    internal static HttpRefusal? RefuseBandwidth(long? maxBytesPerSecond) => Bandwidth.IsInRange(maxBytesPerSecond)
        ? null
        : HttpRefusal.BadRequest(ErrorCodes.BadRequest,
            $"maxBytesPerSecond must be {Bandwidth.LeastBytesPerSecond} to {Bandwidth.MostBytesPerSecond}, or null, not {maxBytesPerSecond}",
            $"give {Bandwidth.Range}, or null for no limit");

    /// <summary>Passes on to whoever coordinates a migration what only he can decide.</summary>
    private async Task<Answer<MigrationView>> AskElsewhereAsync(
        string id, Func<ClusterClient, Task<MigrationView>> ask, CancellationToken cancellationToken)
    {
        var migration = new MigrationId(id);
        if (await LookAsync(migration, cancellationToken) is not { } view) return NoMigration(id);
        if (view.EndedAt is not null)
            return HttpRefusal.Conflict(ErrorCodes.MigrationEnded, $"{id} has already ended: {view.Phase}", "nothing to do");
        if (await ownership.CoordinatorOfAsync(migration, cancellationToken) is not { } address)
            return HttpRefusal.Unreachable($"nobody coordinates {id} at the moment", "ask again: another coordinator takes it on");
        try
        {
            using var client = new ClusterClient(new Uri(address), credentials);
            return await ask(client);
        }
        catch (ApiException error)
        {
            return new HttpRefusal(error.HttpStatus == ApiException.Unreachable ? 503 : error.HttpStatus, error.Error);
        }
    }

    public bool Coordinates(MigrationId id) => _running.ContainsKey(id);

    /// <summary>A migration as its journal, or the coordinator here, knows it.</summary>
    public async Task<CoordinatorState> StateAsync(MigrationId id, CancellationToken cancellationToken) =>
        _running.TryGetValue(id, out var running) ? running.Actor.State : (await ReadAsync(id, cancellationToken)).State;

    /// <summary>Carries an operator's proof that a host is dead to every migration that has something to do with it, whoever coordinates it.</summary>
    /// <returns>what came of it, one a migration.</returns>
    public async Task<IReadOnlyList<DeviationView>> ProveHostDeadAsync(HostName host, string by, CancellationToken cancellationToken)
    {
        var told = new List<DeviationView>();
        foreach (var id in await journal.ListAsync(cancellationToken))
        {
            if (_ended.ContainsKey(id)) continue;
            var before = await StateAsync(id, cancellationToken);
            if (before is not { Plan: { } plan, Ended: false } || (plan.Source != host && plan.Destination != host)) continue;
            if (before is { SourceHostDead: true } && plan.Source == host || before is { DestinationHostDead: true } && plan.Destination == host) continue;
            var view = new DeviationView(
                "host.proven-dead", $"{id} of {plan.Guest} had to do with {host}", [$"{host} is dead on {by}'s word", $"{id} was {before.Phase}"]);
            if (_running.TryGetValue(id, out var running))
            {
                await running.Actor.AskAsync(new CoordinatorCommand.HostProvenDead(host, by, time.GetUtcNow()), cancellationToken);
                told.Add(view with { Done = $"recorded; {id} is {running.Actor.State.Phase} now" });
            }
            else if (await ownership.CoordinatorOfAsync(id, cancellationToken) is not { } address)
            {
                told.Add(view with { Needed = $"nobody coordinates {id} at the moment: say it again in a few seconds" });
            }
            else
            {
                using var client = new ClusterClient(new Uri(address), credentials);
                told.AddRange((await client.ReconcileAsync(new ReconcileRequest(id.Value, host.Value, by), cancellationToken)).Deviations
                    .Where(deviation => deviation.Code == view.Code));
            }
        }

        return told;
    }

    /// <summary>Whether something is left to do for the last migration of a guest, e.g. to release its copy on the source.</summary>
    private async Task<bool> IsOpenAsync(MigrationId? attempt, CancellationToken cancellationToken) =>
        attempt is { } id && !_ended.ContainsKey(id) && (_running.TryGetValue(id, out var running)
            ? !running.Actor.State.Ended
            : (await ReadAsync(id, cancellationToken)).State is { Plan: not null, Ended: false });

    public async Task OnEventsAsync(
        HostName agent, IReadOnlyList<NumberedAgentEvent> events, IReadOnlyList<AgentProgress> progress,
        CancellationToken cancellationToken)
    {
        foreach (var numbered in events)
            if (_running.TryGetValue(numbered.Event.Migration, out var running))
                await running.Actor.AskAsync(new CoordinatorCommand.Hear(numbered.Event, time.GetUtcNow()), cancellationToken);
        foreach (var snapshot in progress)
            if (_running.TryGetValue(snapshot.Migration, out var running))
                running.Projection.OnProgress(snapshot.Progress);
            else if (_elsewhere.TryGetValue(snapshot.Migration, out var shown))
                shown.OnProgress(snapshot.Progress);
    }

    public async ValueTask DisposeAsync()
    {
        // The semaphores hold nothing to be disposed of, and a request that outlasts this coordinator still has to release them.
        foreach (var id in _running.Keys.OrderBy(id => id.Value, StringComparer.Ordinal)) await LetGoAsync(id);
    }

    private async Task<(CoordinatorState State, IReadOnlyList<CoordinatorEvent> Events)> ReadAsync(
        MigrationId id, CancellationToken cancellationToken)
    {
        var events = (await journal.ReadAsync(id, cancellationToken)).Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).ToList();
        return (events.Aggregate(CoordinatorState.New, machine.Evolve), events);
    }

    /// <returns>null: there is no such migration.</returns>
    private async Task<MigrationView?> LookAsync(MigrationId id, CancellationToken cancellationToken)
    {
        if (_running.TryGetValue(id, out var running) && running.Projection.Read().View is { } view) return view;
        if (_ended.TryGetValue(id, out var ended)) return ended;
        CoordinatorState state;
        IReadOnlyList<CoordinatorEvent> events;
        try
        {
            (state, events) = await ReadAsync(id, cancellationToken);
        }
        catch (IOException) when (_elsewhere.TryGetValue(id, out var known) && known.Read().View is { } last)
        {
            return last;
        }

        if (state.Plan is null) return null;
        var projection = _elsewhere.GetOrAdd(id, _ => new MigrationProjection());
        projection.OnRecovered(state, events);
        view = projection.Read().View!;
        if (!state.Ended) return view;
        _ended[id] = view;
        _elsewhere.TryRemove(id, out _);
        return view;
    }

    /// <summary>A coordinator died between opening the row and writing the plan: nobody was told anything yet.</summary>
    private async Task GiveUpUnplannedAsync(MigrationId id, CancellationToken cancellationToken)
    {
        foreach (var record in await rows.ListAsync(cancellationToken))
            if (record.Row.Attempt == id && record.Row.Abort(id, record.Row.Epoch) is { } aborted
                && !await rows.CompareAndSwapAsync(record, record with { Row = aborted }, cancellationToken))
                throw new IOException($"the row of {record.Row.Guest} changed while {id} was given up");
        await ownership.EndAsync(id, 0, cancellationToken);
    }

    /// <summary>Everything that can be known before the row is touched; a refusal names every reason.</summary>
    private async Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> PlanAsync(
        MigrateRequest request, CancellationToken cancellationToken)
    {
        var guest = new GuestName(request.Guest);
        if (await rows.ReadAsync(guest, cancellationToken) is not { Placement: Placement.Placed } record)
            return (null, HttpRefusal.NotFound(ErrorCodes.GuestUnknown, $"there is no guest {guest}", "see `migctl guest list`"));
        if (record.Row.Decision == OwnershipDecision.Undecided || await IsOpenAsync(record.Row.Attempt, cancellationToken))
            return (null, Migrating(record.Row));
        if (RefuseLimits(request) is { } wrong) return (null, wrong);
        foreach (var (field, name) in new[] { ("acceptUnknownBy", request.AcceptUnknownBy), ("acceptPlainBy", request.AcceptPlainBy) })
            if (name is not null && (string.IsNullOrWhiteSpace(name) || name.Length > LongestOperatorName))
                return (null, HttpRefusal.BadRequest(
                    ErrorCodes.BadRequest, $"{field} is no operator's name", $"give 1 to {LongestOperatorName} characters"));
        if (request.Plan is { } made) return await FollowAsync(made, request, record, cancellationToken);
        return await destinations.ChooseAsync(record, request.To, request.AcceptUnknownBy is not null, cancellationToken);
    }

    /// <summary>Goes where a plan led, if all that it was made under still is so.</summary>
    private async Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> FollowAsync(
        string made, MigrateRequest request, GuestRecord record, CancellationToken cancellationToken)
    {
        if (!PlanId.IsWellFormed(made))
            return (null, HttpRefusal.BadRequest(ErrorCodes.BadRequest, $"'{made}' is no plan", "give the id that `migctl plan` printed"));
        var host = agents.List().Select(agent => (HostName?)agent.Name).FirstOrDefault(name => PlanId.LeadsTo(made, name!.Value));
        if (host is not { } destination || (request.To is { } to && to != destination.Value))
            return (null, PlanChanged(made, [request.To is { } other ? $"the destination (the plan is not for {other})" : "the destination (no host of the cluster is it)"]));
        var (chosen, refusal) = await destinations.ChooseAsync(record, destination.Value, request.AcceptUnknownBy is not null, cancellationToken);
        if (chosen is null) return (null, refusal);
        var changed = PlanId.Of(chosen.Guest, destination, chosen.Offers).ChangedSince(made);
        return changed.Count == 0 ? (chosen, null) : (null, PlanChanged(made, changed));
    }

    private static HttpRefusal PlanChanged(string made, IReadOnlyList<string> changed) => new(409, new ApiError(
        ErrorCodes.PlanChanged, $"{made} does not hold any more: {string.Join(", ", changed)} changed",
        [.. changed.Select(what => new Reason(ErrorCodes.PlanChanged, $"{what} changed since the plan was made", "plan again with `migctl plan`"))]));

    /// <returns>null: they can be kept to.</returns>
    internal static HttpRefusal? RefuseLimits(MigrateRequest request) => request switch
    {
        { MaxDowntimeMs: < 1 } => HttpRefusal.BadRequest(
            ErrorCodes.BadRequest, $"maxDowntimeMs must be at least 1, not {request.MaxDowntimeMs}", "allow some downtime"),
        { OnStall: { } action } when !StallActions.All.Contains(action) => HttpRefusal.BadRequest(
            ErrorCodes.BadRequest, $"onStall must be one of {string.Join(", ", StallActions.All)}, not '{action}'", "choose one of them"),
        { MaxIterations: < 1 or > MostIterations } => HttpRefusal.BadRequest(
            ErrorCodes.BadRequest, $"maxIterations must be 1 to {MostIterations}, not {request.MaxIterations}", "leave it out for 30"),
        { MaxPreCopyMs: < 1 } => HttpRefusal.BadRequest(
            ErrorCodes.BadRequest, $"maxPreCopyMs must be at least 1, not {request.MaxPreCopyMs}", "leave it out for no limit"),
        _ => RefuseBandwidth(request.MaxBytesPerSecond),
    };

    private RunningMigration Start(MigrationId id, GuestName guest, Fence fence)
    {
        var running = _running[id] = new RunningMigration(
            id, guest, fence, machine, rows, journal, agents, supervisor, time, fencedOut => _ = LetGoAsync(fencedOut));
        running.Actor.Start();
        return running;
    }

    private RunningMigration? Find(string id) => _running.GetValueOrDefault(new MigrationId(id));

    private static HttpRefusal NoMigration(string id) =>
        HttpRefusal.NotFound(ErrorCodes.MigrationUnknown, $"there is no migration {id}", "see `migctl migration list`");

    private static HttpRefusal Changed(GuestRow row) => HttpRefusal.Conflict(
        ErrorCodes.GuestMigrating, $"{row.Guest} changed while this migration was planned", "look at the guest, then ask again");

    private static HttpRefusal Migrating(GuestRow row) => HttpRefusal.Conflict(
        ErrorCodes.GuestMigrating, $"{row.Guest} is already migrating to {row.Destination}: {row.Attempt}",
        $"watch it with `migctl migration watch {row.Attempt}`, or cancel it");
}
