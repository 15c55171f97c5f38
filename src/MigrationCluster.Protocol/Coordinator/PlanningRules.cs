using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Coordinator;

/// <summary>What can be told of a guest and a destination before anything is touched: every reason, of every device.</summary>
public static class PlanningRules
{
    public const string ClassCode = "destination.template";

    /// <summary>A host's ranking as reasons.</summary>
    /// <param name="offers">what the ranked host can make.</param>
    /// <param name="home">what the host that the guest is on can make, which is where the way back leads.</param>
    public static HostJudgement Judge(HostRanking ranking, HostOffers offers, HostOffers home)
    {
        var (refusals, unknown, back) = (new List<Refusal>(), new List<Refusal>(), new List<Refusal>());
        var dropped = new List<DroppedSections>();
        foreach (var device in ranking.Devices)
        {
            if (!offers.Classes.ContainsKey(device.Class))
            {
                refusals.Add(new Refusal(
                    ClassCode, $"{device.Device}: template '{device.Class}' is unknown on {ranking.Host}",
                    $"choose another host, or add the template to {ranking.Host}'s configuration",
                    device.Device, device.Class, "none", CompatibilitySide.Destination));
                continue;
            }

            switch (device.Judgement.Verdict)
            {
                case Incompatible incompatible:
                    refusals.AddRange(incompatible.Reasons.Select(reason => Refusal.Of(device.Device, reason)));
                    break;
                case Unknown unsure:
                    unknown.AddRange(unsure.Why.Select(reason => Refusal.Of(device.Device, reason)));
                    break;
                case Compatible compatible:
                    if (compatible.Dropped.Count > 0) dropped.Add(new DroppedSections(device.Device, compatible.Dropped));
                    back.AddRange(WayBack(device, home));
                    break;
            }
        }

        return new HostJudgement(ranking.Host, refusals, unknown, dropped, back);
    }

    /// <summary>Whether the two daemons' data planes understand each other.</summary>
    public static IEnumerable<Refusal> JudgeDataPlanes(HostName source, DataPlaneFacts sends, HostName destination, DataPlaneFacts takes)
    {
        if (sends.WireVersion != takes.WireVersion)
        {
            bool sourceIsOlder = sends.WireVersion < takes.WireVersion;
            yield return new Refusal(
                "data-plane.wire-version", $"the data plane of {source} speaks wire version {sends.WireVersion}, that of {destination} {takes.WireVersion}",
                $"upgrade {(sourceIsOlder ? source : destination)}",
                null, $"{sends.WireVersion}", $"{takes.WireVersion}", sourceIsOlder ? CompatibilitySide.Source : CompatibilitySide.Destination);
        }

        if (sends.Channels > takes.MaxChannels)
            yield return new Refusal(
                "data-plane.channels", $"{source} opens {sends.Channels} channels, {destination} takes {takes.MaxChannels}",
                $"have {source} open fewer, or upgrade {destination}",
                null, $"{sends.Channels}", $"at most {takes.MaxChannels}", CompatibilitySide.Source);
    }

    /// <summary>A way back that was not asked about, because another device of the guest cannot go, says nothing.</summary>
    private static IEnumerable<Refusal> WayBack(DeviceRanking device, HostOffers home) => device.Return?.Verdict switch
    {
        Incompatible incompatible => incompatible.Reasons.Select(reason => Back(device.Device, reason, home.Host)),
        Unknown unknown => unknown.Why.Select(reason => Back(device.Device, reason, home.Host)),
        null when !home.Classes.ContainsKey(device.Class) =>
        [
            new Refusal(
                ClassCode, $"{device.Device}: template '{device.Class}' is unknown on {home.Host} by now",
                $"add the template to {home.Host}'s configuration", device.Device, device.Class, "none", CompatibilitySide.Destination),
        ],
        _ => [],
    };

    /// <summary>On the way back the host that the guest is on now is the destination.</summary>
    private static Refusal Back(string device, CompatibilityReason reason, HostName home) => Refusal.Of(device, reason) with
    {
        Message = $"{device}: it would come with {reason.Expected}, {home} has {reason.Actual}",
    };
}

/// <summary>One host for one guest.</summary>
/// <param name="Refusals">what says no; empty: nothing does.</param>
/// <param name="Unknown">what nobody can tell without the real devices: refuses unless it is accepted by name.</param>
/// <param name="Dropped">optional state sections that it does not know and would drop.</param>
/// <param name="NoWayBack">why the guest could not come back from it; a warning, no refusal.</param>
/// <param name="Quiesce">how the guest's devices come to a stand; null: not planned, or something is in the way.</param>
public sealed record HostJudgement(
    HostName Host, IReadOnlyList<Refusal> Refusals, IReadOnlyList<Refusal> Unknown, IReadOnlyList<DroppedSections> Dropped,
    IReadOnlyList<Refusal> NoWayBack, QuiescePlan? Quiesce = null)
{
    /// <param name="unknownAccepted">an operator takes unknown verdicts upon himself.</param>
    public bool Takes(bool unknownAccepted) => Refusals.Count == 0 && (unknownAccepted || Unknown.Count == 0);
}
