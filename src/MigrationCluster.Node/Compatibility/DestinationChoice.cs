using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>Where a guest goes: the host an operator named, if it takes the guest, or the best of all that do.</summary>
public sealed class DestinationChoice(IAgents agents, MigrationPlanner planner, VersionQuestions questions)
{
    /// <param name="to">null: search.</param>
    /// <param name="unknownAccepted">an operator takes unknown verdicts upon himself.</param>
    public async Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> ChooseAsync(
        GuestRecord record, string? to, bool unknownAccepted, CancellationToken cancellationToken)
    {
        try
        {
            if (to is null) return await SearchAsync(record, unknownAccepted, cancellationToken);
            var destination = new HostName(to);
            if (Refuse(record, destination) is { } refusal) return (null, refusal);
            var guest = await planner.ReadAsync(record, cancellationToken);
            var plan = await planner.JudgeAsync(guest, destination, cancellationToken);
            var judgement = plan.Judgement;
            return judgement.Takes(unknownAccepted)
                ? (new ChosenHost(guest, destination, Findings(judgement, []), plan.Offers), null)
                : (null, Refused(record.Row.Guest, judgement, unknownAccepted));
        }
        catch (AgentUnreachableException error)
        {
            return (null, HttpRefusal.Unreachable(error.Message, "ask again when it answers"));
        }
    }

    /// <returns>null: the host may be asked.</returns>
    public HttpRefusal? Refuse(GuestRecord record, HostName destination)
    {
        if (agents.List().FirstOrDefault(agent => agent.Name == destination) is not { } standing)
            return HttpRefusal.NotFound(
                ErrorCodes.HostUnknown, $"there is no host {destination}",
                $"choose one of {string.Join(", ", agents.List().Select(agent => agent.Name))}");
        if (destination == record.Row.Owner)
            return HttpRefusal.Conflict(
                ErrorCodes.SameHost, $"{record.Row.Guest} already runs on {destination}", "name another host");
        return standing.Reachable
            ? null
            : HttpRefusal.Unreachable($"host {destination} does not answer at {standing.Address}", "start mc-node there");
    }

    /// <summary>Ranks every host by what is known of it already, then asks from the best down until one takes the guest.</summary>
    private async Task<(ChosenHost? Chosen, HttpRefusal? Refusal)> SearchAsync(
        GuestRecord record, bool unknownAccepted, CancellationToken cancellationToken)
    {
        var guest = await planner.ReadAsync(record, cancellationToken);
        var others = agents.List().Where(agent => agent.Name != guest.Home).ToList();
        var found = new Dictionary<HostName, HostJudgement>();
        foreach (var silent in others.Where(agent => !agent.Reachable || agent.Offers is null))
            found[silent.Name] = Silent(silent);

        var ranked = await RankAsync(guest, others, found, cancellationToken);
        foreach (var (host, _) in ranked.Where(candidate => found[candidate.Host].Takes(unknownAccepted)))
        {
            var (judgement, asked) = await AskAsync(guest, found[host], cancellationToken);
            found[host] = judgement;
            if (asked is null || !judgement.Takes(unknownAccepted)) continue;
            // Of those that were not asked, what they told last has to do.
            foreach (var (other, cramped) in ranked)
                if (other != host && cramped is not null && found[other].Takes(unknownAccepted))
                    found[other] = found[other] with { Refusals = [cramped] };
            return (new ChosenHost(guest, host, Findings(
                judgement, PassedOver([.. ranked.Select(other => other.Host)], found, host, unknownAccepted)), asked), null);
        }

        return (null, NoHost(record.Row.Guest, found));
    }

    /// <returns>the hosts that answer, the best first; those that lacked the memory when they last told are tried last.</returns>
    private async Task<IReadOnlyList<(HostName Host, Refusal? Cramped)>> RankAsync(
        PlannedGuest guest, IReadOnlyList<AgentStanding> others, Dictionary<HostName, HostJudgement> found,
        CancellationToken cancellationToken)
    {
        var known = others.Where(agent => !found.ContainsKey(agent.Name)).ToList();
        var answers = await questions.AskAsync(
            guest.Devices.Select(device => (device.Class, device.Device)), [.. known.Select(agent => (agent.Name, agent.Offers!))],
            cancellationToken);
        var home = new HostOffers(guest.Home, guest.Offers.Classes);
        var offers = known.ToDictionary(agent => agent.Name, agent => new HostOffers(agent.Name, agent.Offers!.Classes));
        var ranked = planner.Rank(guest, [home, .. offers.Values], answers);
        foreach (var host in ranked) found[host.Host] = PlanningRules.Judge(host, offers[host.Host], home);
        var free = known.ToDictionary(agent => agent.Name, agent => agent.FreeMiB);
        return
        [
            .. ranked.Select(host => (host.Host, Cramped: Cramped(guest, host.Host, free[host.Host])))
                .OrderBy(host => host.Cramped is not null),
        ];
    }

    private static Refusal? Cramped(PlannedGuest guest, HostName host, int? freeMiB) =>
        freeMiB is not { } free || free >= guest.Spec.MemoryMiB ? null : new Refusal(
            GuestAdmission.MemoryCode, $"guest memory of {guest.Spec.MemoryMiB} MiB does not fit into the {free} MiB free on {host}",
            $"free memory on {host}, or choose another host", Side: CompatibilitySide.Destination);

    /// <returns>and what it offers; null: it does not answer.</returns>
    private async Task<(HostJudgement Judgement, AgentOffers? Offers)> AskAsync(
        PlannedGuest guest, HostJudgement ranked, CancellationToken cancellationToken)
    {
        try
        {
            var plan = await planner.JudgeAsync(guest, ranked.Host, cancellationToken);
            return (plan.Judgement, plan.Offers);
        }
        catch (AgentUnreachableException error)
        {
            return (ranked with
            {
                Refusals = [new Refusal(ErrorCodes.HostUnreachable, error.Message, $"ask again when {ranked.Host} answers")],
            }, null);
        }
    }

    private static HostJudgement Silent(AgentStanding agent) => new(
        agent.Name,
        [
            agent.Reachable
                ? new Refusal(
                    "host.offers-unknown", $"{agent.Name} has not said yet what devices it can make",
                    $"ask again in a few seconds; if it stays so, upgrade mc-node on {agent.Name}")
                : new Refusal(
                    ErrorCodes.HostUnreachable, $"host {agent.Name} does not answer at {agent.Address}", "start mc-node there"),
        ],
        [], [], []);

    /// <param name="ranked">the hosts that answered, the best first.</param>
    private static IReadOnlyList<PassedOver> PassedOver(
        IReadOnlyList<HostName> ranked, Dictionary<HostName, HostJudgement> found, HostName chosen, bool unknownAccepted)
    {
        int rank = 1;
        return
        [
            .. ranked.Concat(found.Keys.Except(ranked)).Where(host => host != chosen).Select(host => found[host])
                .Select(judgement => judgement.Takes(unknownAccepted)
                    ? new PassedOver(judgement.Host, ++rank, [])
                    : new PassedOver(judgement.Host, null, [.. judgement.Refusals, .. judgement.Unknown])),
        ];
    }

    private static PlanFindings Findings(HostJudgement judgement, IReadOnlyList<PassedOver> passedOver) =>
        new(judgement.Unknown, judgement.Dropped, judgement.NoWayBack, passedOver, judgement.Quiesce);

    private static HttpRefusal Refused(GuestName guest, HostJudgement judgement, bool unknownAccepted)
    {
        var reasons = ReasonViews.Of([.. judgement.Refusals, .. judgement.Unknown.Select(why => unknownAccepted ? why : Acceptable(why))]);
        string what = reasons is [var only]
            ? only.Message
            : $"{reasons.Count} reasons";
        return new HttpRefusal(409, new ApiError(
            ErrorCodes.Refused,
            judgement.Refusals.Count > 0
                ? $"{judgement.Host} cannot take {guest}: {what}"
                : $"whether {judgement.Host} can take {guest} is not known: {what}",
            reasons));
    }

    private static HttpRefusal NoHost(GuestName guest, Dictionary<HostName, HostJudgement> found) => new(409, new ApiError(
        ErrorCodes.NoHost,
        found.Count == 0 ? $"there is no other host for {guest}" : $"none of {found.Count} other hosts can take {guest}",
        found.Count == 0
            ? [new Reason(ErrorCodes.NoHost, "the cluster has one host only", "have another node join it")]
            :
            [
                .. found.Values.OrderBy(judgement => judgement.Host.Value, StringComparer.Ordinal).SelectMany(judgement =>
                    ReasonViews.Of([.. judgement.Refusals, .. judgement.Unknown.Select(Acceptable)])
                        .Select(reason => reason with { Host = judgement.Host.Value })),
            ]));

    private static Refusal Acceptable(Refusal unknown) => unknown with
    {
        Remedy = $"{unknown.Remedy}; or take it upon yourself with --accept-unknown",
    };
}

/// <summary>A guest and where it goes.</summary>
/// <param name="Offers">of the destination.</param>
public sealed record ChosenHost(PlannedGuest Guest, HostName Destination, PlanFindings Findings, AgentOffers Offers);
