using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Chaos.Traces;

/// <summary>One trace under every rule.</summary>
/// <param name="Oracle">null: nothing keeps the limit.</param>
/// <param name="Of">by the rule's name.</param>
internal sealed record TraceResult(GuestTrace Trace, Outcome? Oracle, IReadOnlyDictionary<string, Outcome> Of);

/// <summary>Has traces of one seed after the other migrate under every rule, on the same draws of everything that is chance.</summary>
internal static class TraceContest
{
    public const string Ours = "ours", OursSwitches = "ours, --on-stall switch", Qemu = "QEMU", KubeVirt = "KubeVirt";

    /// <summary>Hosts learn from one migration to the next; after so many come others, with costs of their own, of which nothing is known.</summary>
    private const int MigrationsOfTwoHosts = 250;

    /// <param name="recorded">guests to take in turn; none: generated ones.</param>
    public static IReadOnlyList<TraceResult> Run(int firstSeed, int count, CancellationToken cancel, params IReadOnlyList<RecordedWrites> recorded)
    {
        var results = new List<TraceResult>();
        var records = new List<BlackoutRecord>();
        var hosts = BlackoutCosts.OfHosts(new Random(firstSeed));
        for (int i = 0; i < count && !cancel.IsCancellationRequested; i++)
        {
            if (i > 0 && i % MigrationsOfTwoHosts == 0) (hosts, records) = (BlackoutCosts.OfHosts(new Random(firstSeed + i)), []);
            var maker = new TraceMaker(firstSeed + i);
            var trace = recorded.Count > 0
                ? maker.Make(recorded[i % recorded.Count], hosts)
                : maker.Make(TraceMaker.Kinds[i % TraceMaker.Kinds.Count], hosts);
            var costs = CostLearner.Learn(records, "", "");
            var policy = new ConvergencePolicy(trace.Limit);
            var ours = Outcome.Of(trace, new OurRule(costs, policy));
            results.Add(new TraceResult(trace, Outcome.OfOracle(trace), new Dictionary<string, Outcome>
            {
                [Ours] = ours,
                [OursSwitches] = Outcome.Of(trace, new OurRule(costs, policy with { OnStall = StallAction.Switch })),
                [Qemu] = Outcome.Of(trace, new QemuRule(trace.Limit, trace.RamBytes)),
                [KubeVirt] = Outcome.Of(trace, new KubeVirtRule(trace.Limit, trace.RamBytes)),
            }));
            if (ours.Record is { } record) records.Add(record);
        }

        return results;
    }
}
