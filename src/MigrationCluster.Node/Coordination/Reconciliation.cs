using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// Goes over what stands now: rows and journals against fence files, processes and sessions of every host (<see cref="Deviations"/>).
/// What the row proves is set right by orders that agents check once more; of the rest it says which evidence is missing.
/// </summary>
public sealed class Reconciliation(IGuestRows rows, IMigrationOwnership ownership, IAgents agents, Migrations migrations)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public async Task<Answer<ReconcileView>> RunAsync(ReconcileRequest request, CancellationToken cancellationToken)
    {
        var hosts = await LookAsync(cancellationToken);
        var found = new List<DeviationView>();
        if (request.DeadHost is { } dead)
        {
            if (RefuseProof(dead, request.By, hosts) is { } refusal) return refusal;
            found.AddRange(await migrations.ProveHostDeadAsync(new HostName(dead), request.By!, cancellationToken));
        }

        var records = await rows.ListAsync(cancellationToken);
        var asked = records;
        if (request.Migration is { } id)
        {
            if ((await migrations.StateAsync(new MigrationId(id), cancellationToken)).Plan is not { } plan)
                return HttpRefusal.NotFound(ErrorCodes.MigrationUnknown, $"there is no migration {id}", "see `migctl migration list`");
            asked = [.. records.Where(record => record.Row.Guest == plan.Guest)];
        }

        foreach (var record in asked)
            foreach (var deviation in await JudgeAsync(record, hosts, cancellationToken))
                found.Add(await SetRightAsync(deviation, cancellationToken));
        if (request.Migration is null) found.AddRange(Deviations.WithoutRow(records, hosts));
        return new ReconcileView(found);
    }

    private static HttpRefusal? RefuseProof(string host, string? by, IReadOnlyList<HostLook> hosts)
    {
        if (string.IsNullOrWhiteSpace(by))
            return HttpRefusal.BadRequest(ErrorCodes.BadRequest, "whose word is it that the host is dead?", "say who with `by`");
        if (hosts.FirstOrDefault(look => look.Host.Value == host) is not { } known)
            return HttpRefusal.NotFound(ErrorCodes.HostUnknown, $"host '{host}' is unknown", "see `migctl node list`");
        return known.Traces is null
            ? null
            : HttpRefusal.Conflict(ErrorCodes.HostAnswers, $"host {host} answers: it is not dead", "nothing to prove; reconcile without it");
    }

    private async Task<IReadOnlyList<HostLook>> LookAsync(CancellationToken cancellationToken) =>
        await Task.WhenAll(agents.List().Select(async host =>
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(Patience);
            try
            {
                return await agents.TracesAsync(host.Name, limit.Token) is { } traces
                    ? new HostLook(host.Name, traces, null)
                    : new HostLook(host.Name, new HostTraces([], []), $"{host.Name} is of a release that shows nothing: upgrade it");
            }
            catch (Exception error) when (!cancellationToken.IsCancellationRequested && error is AgentUnreachableException or OperationCanceledException)
            {
                return new HostLook(host.Name, null, error is AgentUnreachableException ? error.Message : $"host {host.Name} does not answer in time");
            }
        }));

    private async Task<IReadOnlyList<Deviation>> JudgeAsync(
        GuestRecord record, IReadOnlyList<HostLook> hosts, CancellationToken cancellationToken)
    {
        if (record.Row.Attempt is not { } attempt) return Deviations.Of(record, null, true, hosts);
        var state = await migrations.StateAsync(attempt, cancellationToken);
        bool coordinated = state.Ended || migrations.Coordinates(attempt)
            || await ownership.CoordinatorOfAsync(attempt, cancellationToken) is not null;
        return Deviations.Of(record, state, coordinated, hosts);
    }

    private async Task<DeviationView> SetRightAsync(Deviation deviation, CancellationToken cancellationToken)
    {
        if (deviation.Remedy is not var (host, order, done)) return deviation.View;
        try
        {
            return await agents.SendAsync(host, order, cancellationToken) is { } refused
                ? deviation.View with { Needed = $"{host} refuses to: {refused.Message}" }
                : deviation.View with { Done = done };
        }
        catch (AgentUnreachableException error)
        {
            return deviation.View with { Needed = $"{error.Message}; reconcile again when it does" };
        }
    }
}

/// <summary>One host, looked at.</summary>
/// <param name="Traces">null: it does not answer.</param>
/// <param name="Problem">why nothing, or not everything, could be seen of it; null: all was.</param>
public sealed record HostLook(HostName Host, HostTraces? Traces, string? Problem);

/// <param name="Remedy">an order that the row proves to be right, and what it does in words; null: none is.</param>
public sealed record Deviation(DeviationView View, (HostName Host, AgentCommand Order, string Done)? Remedy = null);
