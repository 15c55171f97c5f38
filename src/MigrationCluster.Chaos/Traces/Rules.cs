using MigrationCluster.Protocol.Convergence;

namespace MigrationCluster.Chaos.Traces;

/// <summary>What a rule decides after a pass.</summary>
internal enum Choice
{
    Again = 0,
    Switch,
    GiveUp,
}

/// <summary>Decides after each pass of one migration.</summary>
internal interface IRule
{
    Choice Judge(IReadOnlyList<PassObservation> passes, TimeSpan elapsed);

    /// <summary>Of the downtime, when it last judged; null: it makes none.</summary>
    DowntimePrediction? Prediction => null;

    /// <summary>The pass after which it said that the limit cannot be kept; null: it has not.</summary>
    int? SaidInfeasible => null;
}

/// <summary>Ours: <see cref="SwitchoverRule"/>.</summary>
internal sealed class OurRule(LearnedCosts costs, ConvergencePolicy policy) : IRule
{
    public DowntimePrediction? Prediction { get; private set; }

    public int? SaidInfeasible { get; private set; }

    public Choice Judge(IReadOnlyList<PassObservation> passes, TimeSpan elapsed)
    {
        var verdict = SwitchoverRule.Judge(passes, costs, policy, elapsed);
        Prediction = verdict.Prediction;
        if (verdict.Stall is not null) SaidInfeasible ??= passes.Count;
        return verdict switch { SwitchNow => Choice.Switch, GiveUp => Choice.GiveUp, _ => Choice.Again };
    }
}

/// <summary>
/// QEMU's, from its documentation: the guest is paused as soon as what is dirty takes no longer than downtime-limit at the bandwidth of the last pass.
/// It counts bytes only and never gives up; whoever runs it does, here as KubeVirt would, after 150 s for each GiB.
/// </summary>
internal sealed class QemuRule(TimeSpan limit, long ramBytes) : IRule
{
    private readonly TimeSpan _most = TimeSpan.FromSeconds(Math.Min(150.0 * ramBytes / (1 << 30), GuestTrace.Seconds));

    public Choice Judge(IReadOnlyList<PassObservation> passes, TimeSpan elapsed)
    {
        var last = passes[^1];
        double bandwidth = last.SentBytes / last.Duration.TotalSeconds;
        return last.RemainingBytes <= bandwidth * limit.TotalSeconds ? Choice.Switch
            : elapsed >= _most ? Choice.GiveUp
            : Choice.Again;
    }
}

/// <summary>
/// KubeVirt's stall detector (VEP 248), from its description, over QEMU's own rule: stalled when what remains is not 4 % below the least that was
/// seen more than 40 s ago; then it waits for a pass within 4 % of the best that was seen, each time half as long before it is content with the next best. It pauses
/// there if what remains takes at most 1.5 times the limit by a smoothed bandwidth, else it gives up.
/// </summary>
internal sealed class KubeVirtRule(TimeSpan limit, long ramBytes) : IRule
{
    private const double Margin = 0.04, Alpha = 0.4, Possible = 1.5, PatienceDecay = 0.5;
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(40);

    private readonly QemuRule _qemu = new(limit, ramBytes);
    private readonly List<(TimeSpan At, long Bytes)> _seen = [];
    private double _bandwidth;
    private bool _stalled;
    private TimeSpan _patience = Window, _since;
    private int _contentWith; // how many of the best are no longer waited for

    public Choice Judge(IReadOnlyList<PassObservation> passes, TimeSpan elapsed)
    {
        var last = passes[^1];
        double rate = last.SentBytes / last.Duration.TotalSeconds;
        _bandwidth = _bandwidth == 0 ? rate : Alpha * rate + (1 - Alpha) * _bandwidth;
        var choice = _qemu.Judge(passes, elapsed);
        if (choice == Choice.Again) choice = JudgeStall(last.RemainingBytes, elapsed);
        _seen.Add((elapsed, last.RemainingBytes));
        return choice;
    }

    private Choice JudgeStall(long remaining, TimeSpan elapsed)
    {
        if (!_stalled)
        {
            var old = _seen.Where(seen => elapsed - seen.At > Window).ToList();
            if (old.Count == 0 || remaining < (1 - Margin) * old.Min(seen => seen.Bytes)) return Choice.Again;
            (_stalled, _since) = (true, elapsed);
        }

        if (elapsed - _since > _patience) (_patience, _since, _contentWith) = (_patience * PatienceDecay, elapsed, _contentWith + 1);
        var best = _seen.Select(seen => seen.Bytes).Order().Skip(Math.Min(_contentWith, _seen.Count - 1)).First();
        if (remaining > best * (1 + Margin)) return Choice.Again;
        return remaining / _bandwidth <= Possible * limit.TotalSeconds ? Choice.Switch : Choice.GiveUp;
    }
}
