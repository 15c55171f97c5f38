using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>One guest's devices against every host.</summary>
public static class CandidateSearch
{
    /// <param name="home">the host the guest is on: no candidate, but where the way back leads.</param>
    /// <param name="answers">by class; a class that is left out was not asked about.</param>
    /// <returns>
    /// Every host but home. Compatible ones first: with a way back before without, then by rank; then Unknown; then the refusing ones,
    /// the fewest reasons first. Equal ones by name.
    /// </returns>
    public static IReadOnlyList<HostRanking> Rank(
        IReadOnlyList<GuestDevice> devices, IReadOnlyList<HostOffers> hosts, HostName home, HandlerChain handlers,
        IReadOnlyDictionary<string, VersionAnswers>? answers = null)
    {
        var back = hosts.FirstOrDefault(host => host.Host == home);
        return
        [
            .. hosts.Where(host => host.Host != home).Select(host => Judge(devices, host, back, handlers, answers))
                .OrderByDescending(host => host.Verdict)
                .ThenByDescending(host => host.Return)
                .ThenByDescending(host => host.Rank.Order)
                .ThenBy(host => host.Devices.Sum(device => device.Judgement.Verdict is Incompatible refused ? refused.Reasons.Count : 0))
                .ThenBy(host => host.Host.Value, StringComparer.Ordinal),
        ];
    }

    private static HostRanking Judge(IReadOnlyList<GuestDevice> devices, HostOffers host, HostOffers? home, HandlerChain handlers,
        IReadOnlyDictionary<string, VersionAnswers>? answers)
    {
        var found = new DeviceRanking[devices.Count];
        var (verdict, wayBack, rank) = (VerdictKind.Compatible, VerdictKind.Compatible, new CompatibilityRank(0, 0, int.MaxValue));
        for (int i = 0; i < found.Length; i++)
        {
            var (name, @class, device) = devices[i];
            var offer = host.Classes.GetValueOrDefault(@class);
            found[i] = new DeviceRanking(name, @class, offer is null ? Absent(@class)
                : handlers.Judge(new Candidate(device, offer, Ask(answers, @class, device, host.Host))), null);
            verdict = Worse(verdict, offer is null ? VerdictKind.Absent : found[i].Judgement.Verdict.Kind());
            if (found[i].Judgement.Verdict is Compatible yes)
                rank = new CompatibilityRank(rank.DroppedSections + yes.Rank.DroppedSections, Math.Max(rank.MinorSteps, yes.Rank.MinorSteps),
                    Math.Min(rank.Bugfix, yes.Rank.Bugfix));
        }
        if (verdict != VerdictKind.Compatible) return new HostRanking(host.Host, verdict, VerdictKind.Absent, default, found);
        for (int i = 0; i < found.Length; i++)
        {
            var (_, @class, device) = devices[i];
            var back = home?.Classes.GetValueOrDefault(@class);
            var moved = host.Classes[@class].Recreate(device);
            if (back is not null)
                found[i] = found[i] with { Return = handlers.Judge(new Candidate(moved, back, Ask(answers, @class, moved, home!.Host))) };
            wayBack = Worse(wayBack, found[i].Return?.Verdict.Kind() ?? VerdictKind.Absent);
        }
        return new HostRanking(host.Host, verdict, wayBack, rank, found);
    }

    private static VersionAnswer Ask(
        IReadOnlyDictionary<string, VersionAnswers>? answers, string @class, DeviceDescriptor source, HostName destination) =>
        source.VersionString is { } version && answers?.GetValueOrDefault(@class) is { } asked
            ? asked(version, destination) : VersionAnswer.NotAsked;

    private static VerdictKind Worse(VerdictKind left, VerdictKind right) => left < right ? left : right;

    private static Judgement Absent(string @class) => new(
        new Incompatible([new CompatibilityReason("device.class-absent", @class, "none", CompatibilitySide.Destination,
            $"add a device template or type '{@class}' to the host")]), "none");
}
