using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Chaos.Traces;

/// <summary>How one migration of a trace ended under one rule.</summary>
/// <param name="Bytes">on the wire, the blackout's included.</param>
/// <param name="Downtime">ms; null: the guest stayed.</param>
/// <param name="SaidInfeasible">the pass after which the rule said so.</param>
internal sealed record Outcome(long Bytes, int Passes, double? Downtime, DowntimePrediction? Prediction, int? SaidInfeasible, BlackoutRecord? Record)
{
    public static Outcome Of(GuestTrace trace, IRule rule)
    {
        var run = new PreCopy(trace);
        while (true)
        {
            run.Iterate();
            var choice = run.IsOver ? Choice.GiveUp : rule.Judge(run.Passes, run.Elapsed);
            if (choice == Choice.Again) continue;
            if (choice == Choice.GiveUp) return new Outcome(run.SentBytes, run.Passes.Count, null, null, rule.SaidInfeasible, null);
            var (bytes, record) = run.BlackOut(rule.Prediction);
            return new Outcome(run.SentBytes + bytes, run.Passes.Count, record.Total, rule.Prediction, rule.SaidInfeasible, record);
        }
    }

    /// <summary>By somebody who knows what comes: the fewest bytes that keep the limit; null: no pass is followed by a blackout that does.</summary>
    public static Outcome? OfOracle(GuestTrace trace)
    {
        var run = new PreCopy(trace);
        while (true)
        {
            run.Iterate();
            if (run.IsOver) return null;
            var (bytes, record) = run.BlackOut(null);
            // Every further pass only adds to what was sent before, so the first is nearly the least; the next few may leave less for the blackout.
            if (record.Total <= trace.Limit.TotalMilliseconds) return Better(run, new Outcome(run.SentBytes + bytes, run.Passes.Count, record.Total, null, null, record), trace);
        }
    }

    private static Outcome Better(PreCopy run, Outcome best, GuestTrace trace)
    {
        while (run.SentBytes < best.Bytes && !run.IsOver)
        {
            run.Iterate();
            var (bytes, record) = run.BlackOut(null);
            if (record.Total <= trace.Limit.TotalMilliseconds && run.SentBytes + bytes < best.Bytes)
                best = new Outcome(run.SentBytes + bytes, run.Passes.Count, record.Total, null, null, record);
        }

        return best;
    }
}
