using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// The greatest common configuration of a class: the values that keep the most features on, nearest to what is usual, so that a device
/// made with them on any of enough hosts is taken by all of these.
/// </summary>
/// <remarks>
/// Parameters narrow the hosts one by one (each value is taken by a set of them); everything else of the offers (formats, sections, lists,
/// versions) only says which hosts go together. So it is searched in each of the largest groups that go together. Up to
/// <see cref="ExactParameters"/> parameters with a choice the search looks at everything; beyond, it takes the best value at each
/// step and looks around for a while, and the answer says what could have been missed.
/// </remarks>
public sealed class Baseline
{
    public const int ExactParameters = 16;

    private const int ExactSteps = 2_000_000;
    private const int GreedySteps = 20_000;

    /// <summary>A descriptor with more choices than any device has: those beyond get the value that most hosts take.</summary>
    private const int MostChoices = 128;

    /// <summary>A template shows the shape of its own values, so with others nobody says that the shapes agree.</summary>
    private static readonly CompatibilityReason Apart = new("device.baseline-shape", "the shape of the baseline's hosts, whatever the parameters",
        "not known with other parameters than its own", CompatibilitySide.Destination,
        "set the host's template to the baseline's values, so that it shows the shape it would have");

    private readonly HostOffer[] _able;
    private readonly DeviceDescriptor[] _offers;
    private readonly HandlerChain _handlers;
    private readonly VersionAnswers? _answers;

    private Baseline(HostOffer[] able, HandlerChain handlers, VersionAnswers? answers)
    {
        (_able, _handlers, _answers) = (able, handlers, answers);
        _offers = [.. able.Select(host => host.Offer!)];
    }

    /// <param name="minTargets">how many hosts have to take a device made with it, the one it is made on counted.</param>
    /// <returns>null: no host offers the class.</returns>
    public static BaselineAnswer? Find(
        IReadOnlyList<HostOffer> hosts, int minTargets, HandlerChain handlers, VersionAnswers? answers = null)
    {
        HostOffer[] able = [.. hosts.Where(host => host.Offer is not null)];
        return able.Length == 0 ? null : new Baseline(able, handlers, answers).Find(minTargets);
    }

    private BaselineAnswer Find(int minTargets)
    {
        var choices = BaselineChoice.Of(_offers);
        // A feature that everybody can have as it is needs no search; nor does what could have no value at all.
        BaselineChoice[] open = [.. choices.Where(choice => choice.Values.Count > 1).Take(MostChoices)];
        var picked = choices.Except(open).Where(choice => choice.Values.Count > 0)
            .ToDictionary(choice => choice.Declared.Name, choice => choice.Values.MaxBy(value => value.Hosts.Count)!);
        var usable = HostSet.Of(_able.Length, host => choices.All(choice => choice.Values.Count > 0)
            && picked.Values.All(value => value.Hosts.Contains(host)));
        var (groups, allGroups) = HostCliques.Of(Mutual());
        HostSet[] narrowed = [.. groups.Select(group => group.And(usable))];

        var search = Search(open, narrowed, minTargets, hostsFirst: false);
        if (search.Best is null) search = Search(open, narrowed, 1, hostsFirst: true);
        var certain = Score(choices, picked, 0);
        if (search.Best is { } best)
            foreach (var (name, value) in best.Values) picked[name] = value;
        var made = Made([.. choices.Select(choice => choice.Declared with { Value = Value(choice, picked) })]);
        int[] taken = search.Best is { } found ? [.. found.Hosts.Members] : [];
        int[] confirmed = Confirm(made, taken);

        var score = Score(choices, picked, confirmed.Length);
        bool sure = allGroups && confirmed.Length == taken.Length && choices.All(choice => choice.IsComplete)
            && choices.Count(choice => choice.Values.Count > 1) <= MostChoices;
        bool exact = sure && search.IsExact;
        int features = choices.Count(choice => choice.IsFeature);
        var atMost = exact ? score
            : sure ? new BaselineScore(certain.FeaturesOn + search.AtMost.FeaturesOn, certain.Closeness + search.AtMost.Closeness, search.AtMost.Hosts)
            : new BaselineScore(features, 100 * features, _able.Length);
        return new BaselineAnswer(
            confirmed.Length >= Math.Max(1, minTargets),
            [.. choices.Select(choice =>
                new BaselineParameter(choice.Declared.Name, Value(choice, picked), choice.Declared.Off, choice.Declared.Value))],
            [.. confirmed.Select(host => _able[host].Host)], score, atMost, exact, Left(choices, picked, made, confirmed));
    }

    private BaselineSearch Search(BaselineChoice[] open, HostSet[] groups, int minHosts, bool hostsFirst)
    {
        var search = new BaselineSearch(
            open, _able.Length, minHosts, hostsFirst, open.Length <= ExactParameters ? ExactSteps : GreedySteps);
        search.Run(groups);
        return search;
    }

    /// <summary>By host, those with which it works both ways as long as parameters agree.</summary>
    private HostSet[] Mutual()
    {
        // A parameter in which template and source differ makes a template's shape what it may be, not what its own values make it.
        var verdicts = Judge(
            [.. _offers.Select(offer => SliceContext.Recreating(offer.Instantiate()))],
            [.. _offers.Select(offer => offer.Kind == DescriptorKind.Template ? SliceContext.Recreated(offer) : SliceContext.Recreating(offer))]);
        return [.. Enumerable.Range(0, _able.Length).Select(host => HostSet.Of(_able.Length, other =>
            verdicts[host, other] == VerdictKind.Compatible && verdicts[other, host] == VerdictKind.Compatible))];
    }

    /// <summary>The device that each host would make, which has the interrupts of a host where these values are the default.</summary>
    private DeviceDescriptor[] Made(IReadOnlyList<ParameterDescriptor> configuration)
    {
        var usual = _offers.FirstOrDefault(offer => ParameterRule.SameValues(configuration, offer.Parameters));
        return [.. _offers.Select(offer => offer.Instantiate(configuration) is var device && usual is not null && offer.Model == usual.Model
            ? device with { Interrupts = usual.Interrupts } : device)];
    }

    /// <summary>
    /// Leaves out whoever does not fit after all: a handler that looks at more than one thing at a time may see what the search does not.
    /// </summary>
    private int[] Confirm(DeviceDescriptor[] made, int[] hosts)
    {
        var verdicts = Judge(made, _offers, hosts);
        var left = Enumerable.Range(0, hosts.Length).ToList();
        int[] misfits = [.. left.Select(host => left.Count(other => Misfit(host, other)))];
        while (left.Count > 0 && left.MaxBy(host => misfits[host]) is var worst && misfits[worst] > 0)
        {
            left.Remove(worst);
            foreach (int other in left)
                if (Misfit(worst, other)) misfits[other]--;
        }
        return [.. left.Select(host => hosts[host])];

        bool Misfit(int host, int other) =>
            verdicts[host, other] != VerdictKind.Compatible || verdicts[other, host] != VerdictKind.Compatible;
    }

    private IReadOnlyList<BaselineObstacle> Left(IReadOnlyList<BaselineChoice> choices, Dictionary<string, BaselineValue> picked,
        DeviceDescriptor[] made, int[] confirmed)
    {
        var members = confirmed.ToHashSet();
        return
        [
            .. Enumerable.Range(0, _able.Length).Where(host => !members.Contains(host)).Select(host => new BaselineObstacle(_able[host].Host,
            [
                .. (confirmed.Length == 0 ? Reasons(made, host, host) : [])
                    .Concat(confirmed.Select(member => Reasons(made, member, host)).FirstOrDefault(reasons => reasons.Count > 0)
                        ?? confirmed.Select(member => Reasons(made, host, member)).FirstOrDefault(reasons => reasons.Count > 0) ?? [])
                    .Concat(choices.Where(choice => picked.TryGetValue(choice.Declared.Name, out var value) && !value.Hosts.Contains(host))
                        .Select(choice => new CompatibilityReason("device.baseline-value", $"{choice.Declared.Name}={Value(choice, picked)}",
                            "cannot be created there", CompatibilitySide.Destination,
                            $"give the host a template or driver that supports this value of '{choice.Declared.Name}'")))
                    .DefaultIfEmpty(Apart),
            ])),
        ];
    }

    private IReadOnlyList<CompatibilityReason> Reasons(DeviceDescriptor[] made, int source, int destination) =>
        _handlers.Judge(new Candidate(made[source], _offers[destination], Ask(made[source], destination))).Verdict switch
        {
            Incompatible refused => refused.Reasons,
            Unknown unknown => unknown.Why,
            _ => [],
        };

    private PairVerdicts Judge(DeviceDescriptor[] sources, DeviceDescriptor[] offers, int[]? hosts = null)
    {
        hosts ??= [.. Enumerable.Range(0, _able.Length)];
        return PairJudge.Of([.. hosts.Select(host => sources[host])], [.. hosts.Select(host => offers[host])], _handlers,
            (source, offer) => Ask(sources[hosts[source]], hosts[offer]));
    }

    private VersionAnswer Ask(DeviceDescriptor source, int destination) =>
        _answers is not null && source.VersionString is { } version ? _answers(version, _able[destination].Host) : VersionAnswer.NotAsked;

    private static string Value(BaselineChoice choice, Dictionary<string, BaselineValue> picked) =>
        picked.TryGetValue(choice.Declared.Name, out var value) ? value.Value : choice.Declared.Off;

    private static BaselineScore Score(IReadOnlyList<BaselineChoice> choices, Dictionary<string, BaselineValue> picked, int hosts)
    {
        var features = choices.Where(choice => choice.IsFeature && picked.ContainsKey(choice.Declared.Name))
            .Select(choice => picked[choice.Declared.Name]).ToArray();
        return new BaselineScore(features.Count(value => value.IsOn), features.Sum(value => value.Closeness), hosts);
    }
}
