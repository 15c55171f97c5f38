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
            var asked = answers?.GetValueOrDefault(@class);
            if (host.Classes.GetValueOrDefault(@class) is not { } offer)
            {
                found[i] = new DeviceRanking(name, @class, Absent(@class), null);
                verdict = VerdictKind.Absent;
                continue;
            }
            var there = handlers.Judge(new Candidate(device, offer, Ask(asked, device, host.Host)));
            Judgement? back = null;
            if (there.Verdict is Compatible yes)
            {
                rank = new CompatibilityRank(rank.DroppedSections + yes.Rank.DroppedSections, Math.Max(rank.MinorSteps, yes.Rank.MinorSteps),
                    Math.Min(rank.Bugfix, yes.Rank.Bugfix));
                var moved = offer.Instantiate(device.Parameters);
                if (home?.Classes.GetValueOrDefault(@class) is { } own)
                    back = handlers.Judge(new Candidate(moved, own, Ask(asked, moved, home.Host)));
                wayBack = Worse(wayBack, back?.Verdict.Kind() ?? VerdictKind.Absent);
            }
            verdict = Worse(verdict, there.Verdict.Kind());
            found[i] = new DeviceRanking(name, @class, there, back);
        }
        bool goes = verdict == VerdictKind.Compatible;
        return new HostRanking(host.Host, verdict, goes ? wayBack : VerdictKind.Absent, goes ? rank : default, found);
    }

    private static VersionAnswer Ask(VersionAnswers? answers, DeviceDescriptor source, HostName destination) =>
        source.VersionString is { } version && answers is not null ? answers(version, destination) : VersionAnswer.NotAsked;

    private static VerdictKind Worse(VerdictKind left, VerdictKind right) => left < right ? left : right;

    private static Judgement Absent(string @class) => new(
        new Incompatible([new CompatibilityReason("device.class-absent", @class, "none", CompatibilitySide.Destination,
            $"add a device template or type '{@class}' to the host")]), "none");
}
