namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Judges every source and every offer of a class: what <see cref="HandlerChain.Judge"/> says pair by pair, without asking it a
/// million times.
/// </summary>
/// <remarks>
/// A <see cref="ISlicedHandler"/> judges slice by slice, and a fleet has few forms of each slice, however many combinations: each
/// distinct pair of forms is judged once (<see cref="SliceTable"/>). Any other handler may look at whatever it likes, so it is asked about
/// every pair itself.
/// </remarks>
internal sealed class PairJudge
{
    /// <summary>So few pairs are judged faster than cut.</summary>
    private const int FewPairs = 2048;

    private readonly IReadOnlyList<DeviceDescriptor> _sources, _offers;
    private readonly HandlerChain _handlers;
    private readonly Func<int, int, VersionAnswer> _answer;
    private readonly BitRows _refused, _unsure;

    private PairJudge(IReadOnlyList<DeviceDescriptor> sources, IReadOnlyList<DeviceDescriptor> offers, HandlerChain handlers,
        Func<int, int, VersionAnswer> answer)
    {
        (_sources, _offers, _handlers, _answer) = (sources, offers, handlers, answer);
        _refused = new BitRows(sources.Count, offers.Count);
        _unsure = new BitRows(sources.Count, offers.Count);
    }

    internal static PairVerdicts Of(IReadOnlyList<DeviceDescriptor> sources, IReadOnlyList<DeviceDescriptor> offers,
        HandlerChain handlers, Func<int, int, VersionAnswer> answer)
    {
        var judge = new PairJudge(sources, offers, handlers, answer);
        if (sources.Count * offers.Count <= FewPairs || offers.Any(offer => offer.Kind != offers[0].Kind)) judge.JudgePairs();
        else judge.JudgeSlices(new Claims(handlers, sources, offers));
        return new PairVerdicts(judge._refused, judge._unsure);
    }

    private void JudgePairs()
    {
        for (int source = 0; source < _sources.Count; source++)
            for (int offer = 0; offer < _offers.Count; offer++)
                Set(source, offer, _handlers.Judge(Pair(source, offer)).Verdict);
    }

    private void JudgeSlices(Claims claims)
    {
        for (int handler = 0; handler < _handlers.Handlers.Count; handler++)
            if (_handlers.Handlers[handler] is ISlicedHandler sliced) JudgeSlices(claims, handler, sliced);
        for (int source = 0; source < _sources.Count; source++)
            for (int offer = 0; offer < _offers.Count; offer++)
                AskOthers(source, offer, claims[source, offer]);
    }

    /// <summary>The pairs on which this handler has the word.</summary>
    private void JudgeSlices(Claims claims, int handler, ISlicedHandler sliced)
    {
        var others = new BitRows(_sources.Count, _offers.Count);
        bool any = false;
        for (int source = 0; source < _sources.Count; source++)
            for (int offer = 0; offer < _offers.Count; offer++)
                if (claims[source, offer] == handler) any = true;
                else others[source, offer] = true;
        if (!any) return;
        var context = SliceContext.Find(sliced, Likely(others));
        var table = new SliceTable(_sources, _offers, _answer, context);
        for (int source = 0; source < _sources.Count; source++) others.Row(source).CopyTo(table.Refused.Row(source));
        table.Judge();
        for (int source = 0; source < _sources.Count; source++)
        {
            BitRows.OrNot(_refused.Row(source), table.Refused.Row(source), others.Row(source));
            BitRows.OrNot(_unsure.Row(source), table.Unsure.Row(source), others.Row(source));
            if (!context.IsBlind) continue;
            for (int offer = 0; offer < _offers.Count; offer++)
                if (!table.Refused[source, offer]) Set(source, offer, sliced.Judge(Pair(source, offer))!);
        }
    }

    /// <summary>Pairs that may well be compatible: a host takes its own device as a rule, or one of the next does.</summary>
    private IEnumerable<Candidate> Likely(BitRows others)
    {
        for (int step = 0; step < Math.Min(_offers.Count, 4); step++)
            for (int source = 0; source < _sources.Count; source++)
                if ((source + step) % _offers.Count is var offer && !others[source, offer])
                    yield return Pair(source, offer);
    }

    /// <summary>Handlers that make no promise, as far as they come before the one that has the word.</summary>
    private void AskOthers(int source, int offer, int before)
    {
        Candidate? pair = null;
        for (int i = 0; i < before; i++)
        {
            if (_handlers.Handlers[i] is ISlicedHandler) continue;
            if (_handlers.Handlers[i].Judge(pair ??= Pair(source, offer)) is not { } verdict) continue;
            Set(source, offer, verdict);
            return;
        }
        if (before == _handlers.Handlers.Count) Set(source, offer, _handlers.Judge(Pair(source, offer)).Verdict);
    }

    private void Set(int source, int offer, Verdict verdict)
    {
        _refused[source, offer] = verdict is Incompatible;
        _unsure[source, offer] = verdict is Unknown;
    }

    private Candidate Pair(int source, int offer) => new(_sources[source], _offers[offer], _answer(source, offer));
}
