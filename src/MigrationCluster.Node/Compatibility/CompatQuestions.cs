using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Compatibility;

/// <summary>What operators ask about compatibility without moving anything.</summary>
public sealed class CompatQuestions(
    IGuestRows rows, MigrationPlanner planner, DestinationChoice destinations, FleetOffers fleet, HandlerChain handlers)
{
    /// <summary>Whether a guest could go to a host now, as planning would find it.</summary>
    public async Task<Answer<CompatCheckView>> CheckAsync(string guest, string host, CancellationToken cancellationToken)
    {
        var (planned, judged, refusal) = await AskAsync(guest, host, cancellationToken);
        return refusal is null ? CompatViews.Check(planned!, judged!) : refusal;
    }

    /// <summary>One device of a guest beside what a host could make.</summary>
    /// <param name="device">guest/device.</param>
    public async Task<Answer<CompatExplainView>> ExplainAsync(string device, string host, CancellationToken cancellationToken)
    {
        if (device.Split('/') is not [{ Length: > 0 } guest, { Length: > 0 } name])
            return HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, $"'{device}' names no device of a guest", "write GUEST/DEVICE, e.g. web/net0");
        var (planned, judged, refusal) = await AskAsync(guest, host, cancellationToken);
        if (refusal is not null) return refusal;
        if (planned!.Devices.FirstOrDefault(one => one.Name == name) is not { } asked)
            return planned.Unanswered.FirstOrDefault(unanswered => unanswered.Device == name) is { } silent
                ? HttpRefusal.Unreachable(silent.Message, silent.Remedy)
                : HttpRefusal.NotFound(
                    ErrorCodes.DeviceUnknown, $"guest {guest} has no device '{name}'",
                    $"choose one of {string.Join(", ", planned.Spec.Devices.Select(one => one.Name))}");
        return CompatViews.Explain(planned, asked, judged!, judged!.Offers.Classes.GetValueOrDefault(asked.Class));
    }

    /// <param name="class">null: every class that any host can make.</param>
    public async Task<Answer<IReadOnlyList<CompatMatrixView>>> MatrixAsync(string? @class, CancellationToken cancellationToken)
    {
        var hosts = await fleet.ReadAsync(cancellationToken);
        if (@class is not null && FleetOffers.RefuseClass(@class, hosts) is { } refusal) return refusal;
        var classes = @class is null ? FleetOffers.Classes(hosts) : [@class];
        var views = new List<CompatMatrixView>();
        foreach (string one in classes)
        {
            var offers = FleetOffers.Of(one, hosts);
            var answers = await fleet.AskAsync(one, hosts, cancellationToken);
            views.Add(CompatViews.Matrix(one, hosts, CompatibilityMatrix.Build(offers, handlers, answers)));
        }

        return views;
    }

    public async Task<Answer<CompatBaselineView>> BaselineAsync(string @class, int minTargets, CancellationToken cancellationToken)
    {
        if (minTargets < 1)
            return HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, $"minTargets must be at least 1, not {minTargets}", "say how many hosts it is to be movable to");
        var hosts = await fleet.ReadAsync(cancellationToken);
        if (FleetOffers.RefuseClass(@class, hosts) is { } refusal) return refusal;
        return CompatViews.Baseline(@class, minTargets, Baseline.Find(FleetOffers.Of(@class, hosts), minTargets, handlers)!);
    }

    private async Task<(PlannedGuest? Guest, HostPlan? Plan, HttpRefusal? Refusal)> AskAsync(
        string guest, string host, CancellationToken cancellationToken)
    {
        if (await rows.ReadAsync(new GuestName(guest), cancellationToken) is not { Placement: Placement.Placed } record)
            return (null, null, HttpRefusal.NotFound(
                ErrorCodes.GuestUnknown, $"there is no guest {guest}",
                $"choose one of {await GuestsAsync(cancellationToken)}"));
        if (destinations.Refuse(record, new HostName(host)) is { } refusal) return (null, null, refusal);
        try
        {
            var planned = await planner.ReadAsync(record, cancellationToken);
            return (planned, await planner.JudgeAsync(planned, new HostName(host), cancellationToken), null);
        }
        catch (AgentUnreachableException error)
        {
            return (null, null, HttpRefusal.Unreachable(error.Message, "ask again when it answers"));
        }
    }

    private async Task<string> GuestsAsync(CancellationToken cancellationToken)
    {
        var names = (await rows.ListAsync(cancellationToken)).Where(record => record.Placement == Placement.Placed)
            .Select(record => record.Row.Guest.Value).ToList();
        return names.Count == 0 ? "none: no guest runs" : string.Join(", ", names);
    }
}
