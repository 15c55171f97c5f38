using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>
/// Asks everything that can be asked before a guest's row is touched: its real devices, what the destination could make of their
/// classes, whether it has room, and how both data planes talk. Judges nothing itself (<see cref="PlanningRules"/>).
/// </summary>
/// <remarks>Throws <see cref="AgentUnreachableException"/> where a host that must answer does not.</remarks>
public sealed class MigrationPlanner(IAgents agents, VersionQuestions questions, HandlerChain handlers)
{
    /// <summary>Reads the setup records of all devices of a running guest, and what its host offers, side by side.</summary>
    public async Task<PlannedGuest> ReadAsync(GuestRecord record, CancellationToken cancellationToken)
    {
        var spec = JsonSerializer.Deserialize(record.SpecJson, Json.Replies.Of<GuestSpec>())!;
        var setup = agents.SetupAsync(record.Row.Owner, record.Row.Guest, cancellationToken);
        var offers = agents.OffersAsync(record.Row.Owner, cancellationToken);
        await Task.WhenAll(setup, offers);
        return new PlannedGuest(record, spec, await setup, await offers ?? Untold(spec));
    }

    /// <summary>Puts a guest to one host, which is asked afresh.</summary>
    public async Task<HostPlan> JudgeAsync(PlannedGuest guest, HostName destination, CancellationToken cancellationToken)
    {
        var asked = agents.OffersAsync(destination, cancellationToken);
        var admission = agents.AdmitAsync(destination, guest.Record.SpecJson, guest.Configuration, cancellationToken);
        await Task.WhenAll(asked, admission);
        var offers = await asked ?? Untold(guest.Spec);
        var home = new HostOffers(guest.Home, guest.Offers.Classes);
        var host = new HostOffers(destination, offers.Classes);
        var answers = await questions.AskAsync(
            guest.Devices.Select(device => (device.Class, device.Device)), [(destination, offers)], cancellationToken);
        var ranking = Rank(guest, [home, host], answers)[0];
        var judgement = Whole(guest, PlanningRules.Judge(ranking, host, home), offers, await admission);
        return new HostPlan(ranking, OutOfReach(guest.Home, destination, offers) is not { } refusal ? judgement
            : judgement with { Refusals = [refusal, .. judgement.Refusals], NoWayBack = [] }, offers);
    }

    /// <returns>every host but the guest's own, the best first.</returns>
    public IReadOnlyList<HostRanking> Rank(
        PlannedGuest guest, IReadOnlyList<HostOffers> hosts, IReadOnlyDictionary<string, VersionAnswers> answers) =>
        guest.Setup is not null
            ? CandidateSearch.Rank(guest.Devices, hosts, guest.Home, handlers, answers)
            : [.. hosts.Where(host => host.Host != guest.Home).Select(host => new HostRanking(
                host.Host, VerdictKind.Unknown, VerdictKind.Absent, default, [.. guest.Devices.Select(device => Untold(guest, device))]))];

    private static DeviceRanking Untold(PlannedGuest guest, GuestDevice device) => new(
        device.Name, device.Class,
        new Judgement(
            new Unknown([new CompatibilityReason(
                "device.undescribed", "nothing told by the release of its host", "not compared", CompatibilitySide.Source,
                $"upgrade mc-node on {guest.Home}: its guests run on meanwhile")]),
            "none"),
        null);

    private static AgentOffers Untold(GuestSpec spec) => AgentOffers.Untold(spec.Devices.Select(device => device.Template));

    /// <summary>A data plane on loopback is reached on its own machine only.</summary>
    private Refusal? OutOfReach(HostName source, HostName destination, AgentOffers takes)
    {
        var (from, to) = (MachineOf(source), MachineOf(destination));
        return from == to || takes.DataPlane is { OnLoopback: false } ? null : new Refusal(
            "data-plane.out-of-reach",
            $"{source} ({from}) and {destination} ({to}) are different machines, and the data plane of {destination} listens on loopback",
            $"start mc-node on {destination} with --data-listen and an address that {source} reaches, or choose a node on {from}",
            Side: CompatibilitySide.Destination);
    }

    /// <summary>Only nodes with certificates can be anywhere else than on this machine.</summary>
    private string MachineOf(HostName host) => agents.List().FirstOrDefault(agent => agent.Name == host) is { } standing
        && new Uri(standing.Address) is { IsLoopback: false } address && address.Scheme == Uri.UriSchemeHttps ? address.Host : "loopback";

    /// <summary>What concerns the guest and the hosts as a whole, beside the devices' verdicts.</summary>
    private static HostJudgement Whole(PlannedGuest guest, HostJudgement devices, AgentOffers offers, IReadOnlyList<Reason> admission)
    {
        var capabilities = guest.Devices.Where(device => device.Device.Capabilities is not null)
            .ToDictionary(device => device.Name, device => device.Device.Capabilities!.Value);
        var offered = guest.Devices.Where(device => offers.Classes.GetValueOrDefault(device.Class)?.Capabilities is not null)
            .ToDictionary(device => device.Name, device => offers.Classes[device.Class].Capabilities!.Value);
        IEnumerable<Refusal> dataPlanes = guest.Offers.DataPlane is { } sends && offers.DataPlane is { } takes
            ? PlanningRules.JudgeDataPlanes(guest.Home, sends, devices.Host, takes)
            : [];
        IReadOnlyList<Refusal> refusals =
        [
            .. guest.Unanswered,
            // A missing template is told once, with its device.
            .. admission.Select(ReasonViews.From).Where(reason => reason.Code != PlanningRules.ClassCode
                || !devices.Refusals.Any(refusal => refusal.Code == reason.Code && refusal.Device == reason.Device)),
            .. dataPlanes,
            .. devices.Refusals,
            .. QuiescePlanner.Judge(guest.PeerToPeer, capabilities, guest.Home, CompatibilitySide.Source),
            .. QuiescePlanner.Judge(guest.PeerToPeer, offered, devices.Host, CompatibilitySide.Destination),
        ];
        // A guest that cannot go there has no way back to be warned of, and no plan.
        return refusals.Count > 0
            ? devices with { Refusals = refusals, NoWayBack = [] }
            : devices with { Refusals = [], Quiesce = QuiescePlanner.Plan(guest.PeerToPeer, capabilities, CoordinatorMachine.PauseDeadline) };
    }
}

/// <summary>A host that was asked, and what it comes to.</summary>
public sealed record HostPlan(HostRanking Ranking, HostJudgement Judgement, AgentOffers Offers);
