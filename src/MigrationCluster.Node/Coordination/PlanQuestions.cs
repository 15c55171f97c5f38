using MigrationCluster.Api;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Coordination;

/// <summary>What a migration would come to; nothing moves, and nothing is remembered (<see cref="PlanId"/>).</summary>
public sealed class PlanQuestions(IGuestRows rows, DestinationChoice destinations, CostBook book)
{
    public async Task<Answer<GuestPlanView>> PlanAsync(MigrateRequest request, CancellationToken cancellationToken)
    {
        if (Migrations.RefuseLimits(request) is { } wrong) return wrong;
        var name = new GuestName(request.Guest);
        if (await rows.ReadAsync(name, cancellationToken) is not { Placement: Placement.Placed } record)
            return HttpRefusal.NotFound(ErrorCodes.GuestUnknown, $"there is no guest {name}", "see `migctl guest list`");
        var (chosen, refusal) = await destinations.ChooseAsync(record, request.To, request.AcceptUnknownBy is not null, cancellationToken);
        if (chosen is null)
            // A refusal is an answer here: it says what is in the way. What was asked wrongly is none.
            return refusal!.Error.Code is ErrorCodes.Refused or ErrorCodes.NoHost
                ? Blocked(request, record, refusal.Error)
                : refusal;
        return await ForecastAsync(request, record, chosen, cancellationToken);
    }

    private async Task<GuestPlanView> ForecastAsync(
        MigrateRequest request, GuestRecord record, ChosenHost chosen, CancellationToken cancellationToken)
    {
        var guest = chosen.Guest;
        var records = await book.ReadAsync(cancellationToken);
        var costs = CostLearner.Learn(records, guest.Home.Value, chosen.Destination.Value);
        var load = LoadOf(guest, records);
        var forecast = MigrationForecast.Of(load, costs, ConvergenceViews.Policy(request), request.MaxBytesPerSecond);
        var id = PlanId.Of(guest, chosen.Destination, chosen.Offers);
        return new GuestPlanView(
            id.Text, id.InventoryVersion, record.Row.Guest.Value, guest.Home.Value, chosen.Destination.Value, request.MaxDowntimeMs,
            [
                new HostVerdictView(chosen.Destination.Value, Verdicts.Compatible, 1, ReasonViews.Of(chosen.Findings.Unknown)),
                .. chosen.Findings.PassedOver.OrderBy(host => host.Rank ?? int.MaxValue).Select(host => new HostVerdictView(
                    host.Host.Value, host.Rank is null ? Verdicts.Incompatible : Verdicts.Compatible, host.Rank, ReasonViews.Of(host.Reasons))),
            ],
            [], chosen.Findings.Quiesce is { } quiesce ? ConvergenceViews.Of(quiesce) : null, ConvergenceViews.Of(forecast, load, costs));
    }

    private static GuestLoad LoadOf(PlannedGuest guest, IReadOnlyList<BlackoutRecord> records) => GuestLoad.Of(
        guest.Record.Row.Guest.Value, (long)guest.Spec.MemoryMiB << 20, guest.Spec.Vcpus.DirtyRateMiBps * (double)(1 << 20),
        guest.Spec.Vcpus.Pattern == "hotset" ? 0.1 : 1,
        [
            .. guest.Devices.Select(device => new GuestDeviceLoad(
                device.Name, device.Device.Model ?? device.Name,
                device.Device.Capabilities?.HasFlag(MigrationCapabilities.PreCopy) == true)),
        ],
        records);

    private static GuestPlanView Blocked(MigrateRequest request, GuestRecord record, ApiError error)
    {
        var hosts = error.Reasons.GroupBy(reason => reason.Host ?? request.To ?? "").Where(host => host.Key.Length > 0);
        return new GuestPlanView(
            null, null, record.Row.Guest.Value, record.Row.Owner.Value, null, request.MaxDowntimeMs,
            [.. hosts.Select(host => new HostVerdictView(host.Key, Verdicts.Incompatible, null, [.. host]))], error.Reasons, null, null);
    }
}
