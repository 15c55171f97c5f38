using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Cluster;

/// <summary>
/// Starts, stops and shows the guests of the cluster. The row always moves first:
///
/// <code>
///   start: (none | vacant) --swap--> placed(e+1) --launch--> runs | refused --swap--> vacant(e+2) | no answer --swap--> vacating
///   stop:  placed(e) --swap--> vacating(e+1) --stop on the owner--> gone --swap--> vacant
/// </code>
/// A vacating guest may still have a process at the row's owner: before it starts anywhere again, that owner must say it has none.
/// </summary>
public sealed class ClusterGuests(
    IGuestRows rows, AgentDirectory agents, IMigrations migrations, ILogger<ClusterGuests> logger)
{
    private static readonly Term NoTerm = new(0);

    private readonly Lock _lock = new();
    private readonly HashSet<GuestName> _starting = [];

    public async Task<IReadOnlyList<GuestView>> ListAsync(CancellationToken cancellationToken)
    {
        var placed = (await rows.ListAsync(cancellationToken)).Where(record => record.Placement == Placement.Placed).ToList();
        var open = await OpenMigrationsAsync(cancellationToken);
        var owners = placed.Select(record => record.Row.Owner).Distinct().ToList();
        var inventories = (await Task.WhenAll(owners.Select(owner => InventoryAsync(owner, cancellationToken))))
            .Zip(owners).ToDictionary(pair => pair.Second, pair => pair.First);
        return [.. placed.Select(record => GuestViews.Of(
            record, inventories[record.Row.Owner], IsStarting(record.Row.Guest),
            open.GetValueOrDefault(record.Row.Guest.Value)))];
    }

    public async Task<Answer<GuestView>> GetAsync(string guest, CancellationToken cancellationToken)
    {
        var record = await FindAsync(guest, cancellationToken);
        return record is null || record.Placement == Placement.Vacant
            ? UnknownGuest(guest)
            : await ViewAsync(record, cancellationToken);
    }

    /// <summary>Starts a guest; answers when it runs.</summary>
    public async Task<Answer<GuestView>> StartAsync(string requestJson, CancellationToken cancellationToken)
    {
        var request = StartRequest.Read(requestJson);
        var reasons = request.Reasons.ToList();
        if (request.Host is { } named)
        {
            try
            {
                reasons.AddRange(await HostReasonsAsync(named, request.SpecJson, cancellationToken));
            }
            catch (AgentUnreachableException error)
            {
                return HttpRefusal.Unreachable(error.Message, "start mc-node there, or choose another host");
            }
        }

        if (request.Draft?.Name is { } name && await FindAsync(name, cancellationToken) is { Placement: Placement.Placed } there)
            reasons.Add(new Reason(
                ErrorCodes.GuestExists, $"guest {name} already exists, on host {there.Row.Owner}",
                "stop that guest first, or choose another name"));
        if (reasons.Count > 0) return Refused(request.Draft?.Name, reasons);
        return await StartAsync(new GuestName(request.Draft!.Name!), new HostName(request.Host!), request.SpecJson!, cancellationToken);
    }

    /// <summary>Stops a guest; answers when nothing of it lives any more.</summary>
    public async Task<Answer<GuestView>> StopAsync(string guest, CancellationToken cancellationToken)
    {
        var record = await FindAsync(guest, cancellationToken);
        if (record is null || record.Placement == Placement.Vacant) return UnknownGuest(guest);
        if (await OpenMigrationAsync(record, cancellationToken) is { } migration) return Migrating(guest, migration);
        if (record.Placement == Placement.Placed)
        {
            var vacating = record with { Row = Settled(record.Row, record.Row.Owner), Placement = Placement.Vacating };
            if (!await rows.CompareAndSwapAsync(record, vacating, cancellationToken)) return Changed(guest);
            record = vacating;
        }

        var vacated = await VacateAsync(record, cancellationToken);
        if (vacated.Refusal is { } refusal) return refusal;
        logger.LogInformation("guest {Guest} stopped on {Host}", guest, record.Row.Owner);
        return GuestViews.Of(vacated.Value!, null, starting: false, migration: null);
    }

    /// <summary>Has a running guest check itself.</summary>
    public async Task<Answer<SelfCheckView>> CheckAsync(string guest, CancellationToken cancellationToken)
    {
        if (await FindAsync(guest, cancellationToken) is not { Placement: Placement.Placed } record)
            return UnknownGuest(guest);
        try
        {
            return await agents.Api(record.Row.Owner).CheckAsync(record.Row.Guest, cancellationToken);
        }
        catch (AgentUnreachableException error)
        {
            return HttpRefusal.Unreachable(error.Message, "ask again when the host answers");
        }
    }

    private async Task<Answer<GuestView>> StartAsync(
        GuestName guest, HostName host, string specJson, CancellationToken cancellationToken)
    {
        var before = await rows.ReadAsync(guest, cancellationToken);
        if (before?.Placement == Placement.Vacating)
        {
            var vacated = await VacateAsync(before, cancellationToken);
            if (vacated.Refusal is { } held) return held;
            before = vacated.Value;
        }

        var row = GuestRow.Start(guest, host, before?.Row.Epoch.Next ?? new Epoch(1));
        var placed = new GuestRecord(row, specJson, Placement.Placed);
        lock (_lock) _starting.Add(guest);
        try
        {
            if (!await rows.CompareAndSwapAsync(before, placed, cancellationToken)) return Changed(guest.Value);
            if (await LaunchAsync(placed) is { } refusal) return refusal;
        }
        finally
        {
            lock (_lock) _starting.Remove(guest);
        }

        logger.LogInformation("guest {Guest} started on {Host} at {Epoch}", guest, host, row.Epoch);
        return await ViewAsync(placed, cancellationToken);
    }

    /// <summary>From here on the caller's going away changes nothing: a row that says placed must get its launch or be vacated.</summary>
    private async Task<HttpRefusal?> LaunchAsync(GuestRecord placed)
    {
        var (guest, row) = (placed.Row.Guest, placed.Row);
        try
        {
            var started = await agents.Api(row.Owner).StartAsync(
                placed.SpecJson, new Fence(row.Epoch, NoTerm), CancellationToken.None);
            if (started.Refusal is not { } refusal) return null;
            var vacant = placed with { Row = Settled(row, row.Owner), Placement = Placement.Vacant };
            await rows.CompareAndSwapAsync(placed, vacant, CancellationToken.None);
            return refusal;
        }
        catch (AgentUnreachableException error)
        {
            var vacating = placed with { Row = Settled(row, row.Owner), Placement = Placement.Vacating };
            await rows.CompareAndSwapAsync(placed, vacating, CancellationToken.None);
            return HttpRefusal.Unreachable(
                $"whether guest {guest} was launched on {row.Owner} is unknown: {error.Message}",
                $"when {row.Owner} answers again, stop or start guest {guest}: either makes sure no copy is left");
        }
    }

    /// <summary>Makes sure the owner holds nothing of a vacating guest, then says so in its row.</summary>
    private async Task<Answer<GuestRecord>> VacateAsync(GuestRecord vacating, CancellationToken cancellationToken)
    {
        var (guest, owner) = (vacating.Row.Guest, vacating.Row.Owner);
        try
        {
            var fence = new Fence(vacating.Row.Epoch, NoTerm);
            if (await agents.Api(owner).StopAsync(guest, fence, cancellationToken) is { } refusal) return refusal;
            await StopStaleAsync(guest, owner, fence, cancellationToken);
        }
        catch (AgentUnreachableException error)
        {
            return HttpRefusal.Unreachable(
                $"guest {guest} is given up, but its process on {owner} may still live: {error.Message}",
                $"ask again when {owner} answers");
        }

        var vacant = vacating with { Placement = Placement.Vacant };
        return await rows.CompareAndSwapAsync(vacating, vacant, cancellationToken) ? vacant : Changed(guest.Value);
    }

    /// <summary>A lost guest's copy on the source was kept until it was given up. It has yielded and never runs: nobody waits for a host
    /// that does not answer.</summary>
    private async Task StopStaleAsync(GuestName guest, HostName owner, Fence fence, CancellationToken cancellationToken)
    {
        var last = (await migrations.ListAsync(cancellationToken)).LastOrDefault(migration => migration.Guest == guest.Value);
        if (last is not { Outcome: Outcomes.GuestLost } || last.Source == owner.Value) return;
        try
        {
            await agents.Api(new HostName(last.Source)).StopAsync(guest, fence, cancellationToken);
        }
        catch (AgentUnreachableException error)
        {
            logger.LogWarning("the copy of {Guest} on {Host} could not be ended: {Reason}", guest, last.Source, error.Message);
        }
    }

    private async Task<IReadOnlyList<Reason>> HostReasonsAsync(
        string host, string? specJson, CancellationToken cancellationToken)
    {
        if (agents.List().All(agent => agent.Name.Value != host))
            return [new Reason(
                ErrorCodes.HostUnknown, $"host '{host}' is unknown",
                $"choose one of {string.Join(", ", agents.List().Select(agent => agent.Name))}")];
        if (specJson is null) return [];
        // What is wrong with the spec itself is known here already, by its path in the request.
        return [.. (await agents.AdmitAsync(new HostName(host), specJson, null, cancellationToken))
            .Where(reason => reason.Code != ErrorCodes.BadSpec)];
    }

    private async Task<GuestView> ViewAsync(GuestRecord record, CancellationToken cancellationToken) => GuestViews.Of(
        record, await InventoryAsync(record.Row.Owner, cancellationToken), IsStarting(record.Row.Guest),
        await OpenMigrationAsync(record, cancellationToken));

    private async Task<Inventory?> InventoryAsync(HostName host, CancellationToken cancellationToken)
    {
        try
        {
            return agents.List().Any(agent => agent.Name == host && agent.Reachable)
                ? await agents.InventoryAsync(host, cancellationToken)
                : null;
        }
        catch (AgentUnreachableException)
        {
            return null;
        }
    }

    private async Task<GuestRecord?> FindAsync(string guest, CancellationToken cancellationToken) =>
        await rows.ReadAsync(new GuestName(guest), cancellationToken);

    private async Task<string?> OpenMigrationAsync(GuestRecord record, CancellationToken cancellationToken) =>
        record.Row.Decision == OwnershipDecision.Undecided
            ? record.Row.Attempt!.Value.Value
            : (await OpenMigrationsAsync(cancellationToken)).GetValueOrDefault(record.Row.Guest.Value);

    private async Task<Dictionary<string, string>> OpenMigrationsAsync(CancellationToken cancellationToken) =>
        (await migrations.ListAsync(cancellationToken)).Where(migration => migration.EndedAt is null)
            .GroupBy(migration => migration.Guest).ToDictionary(group => group.Key, group => group.Last().Id);

    private bool IsStarting(GuestName guest)
    {
        lock (_lock) return _starting.Contains(guest);
    }

    private static GuestRow Settled(GuestRow row, HostName owner) => GuestRow.Start(row.Guest, owner, row.Epoch.Next);

    private static HttpRefusal UnknownGuest(string guest) => HttpRefusal.NotFound(
        ErrorCodes.GuestUnknown, $"guest '{guest}' is unknown", "see `migctl guest list`");

    private static HttpRefusal Migrating(string guest, string migration) => HttpRefusal.Conflict(
        ErrorCodes.GuestMigrating, $"guest {guest} is migrating: {migration}",
        $"wait for it (`migctl migration watch {migration}`) or cancel it");

    private static HttpRefusal Changed(string guest) => HttpRefusal.Conflict(
        "guest.changed", $"guest {guest} was changed by somebody else at the same time", "look at it and ask again");

    private static HttpRefusal Refused(string? guest, List<Reason> reasons)
    {
        int status = reasons.Exists(r => r.Code == ErrorCodes.BadSpec) ? 400
            : reasons.Exists(r => r.Code == ErrorCodes.HostUnknown) ? 404 : 409;
        return new HttpRefusal(status, new ApiError(
            reasons[0].Code,
            $"guest {guest ?? "of this spec"} is not started: {string.Join("; ", reasons.Select(reason => reason.Message))}",
            reasons));
    }
}
