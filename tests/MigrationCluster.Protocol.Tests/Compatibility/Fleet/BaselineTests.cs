using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using static MigrationCluster.Protocol.Tests.Compatibility.Fleet.Templates;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

public sealed class BaselineTests
{
    [Fact]
    public void Keeps_what_everybody_has()
    {
        var answer = Find(2, Host("a", Queues(4, 8)), Host("b", Queues(4, 8)));
        Assert.True(answer is { Reached: true, Exact: true });
        Assert.Equal(["queues=4"], Values(answer));
        Assert.Equal(["a", "b"], Hosts(answer));
        Assert.Empty(answer.Left);
    }

    [Fact]
    public void Gives_up_one_feature_for_three_hosts()
    {
        // Two new hosts filter; three old ones never heard of it.
        HostOffer[] fleet =
        [
            Host("new1", Queues(4, 8), Filter(32)), Host("new2", Queues(4, 8), Filter(32)),
            Host("old1", Queues(4, 8)), Host("old2", Queues(4, 8)), Host("old3", Queues(4, 8)),
        ];
        var two = Find(2, fleet);
        Assert.Equal(["queues=4", "rx-filter-size=32"], Values(two));
        Assert.Equal(["new1", "new2"], Hosts(two));
        Assert.All(two.Left, left => Assert.Contains(left.Reasons, reason => reason.Code == "device.parameter-unknown"));

        var five = Find(5, fleet);
        Assert.True(five is { Reached: true, Exact: true });
        Assert.Equal(["queues=4", "rx-filter-size=0"], Values(five));
        Assert.Equal(["rx-filter-size"], five.Parameters.Where(parameter => parameter.GivenUp).Select(parameter => parameter.Name));
        Assert.Equal(5, five.Hosts.Count);
    }

    [Fact]
    public void Takes_the_nearest_value_that_enough_hosts_support()
    {
        HostOffer[] fleet = [Host("a", Queues(16, 16)), Host("b", Queues(16, 16)), Host("c", Queues(6, 6)), Host("d", Queues(2, 2))];
        Assert.Equal(["queues=16"], Values(Find(2, fleet)));
        Assert.Equal(["queues=6"], Values(Find(3, fleet)));
        Assert.Equal(["queues=2"], Values(Find(4, fleet)));
    }

    [Fact]
    public void Keeps_the_members_of_a_set_that_enough_hosts_have()
    {
        HostOffer[] fleet = [Host("a", Offloads("tso,gro,lro")), Host("b", Offloads("tso,gro,lro")), Host("c", Offloads("tso,gro")), Host("d", Offloads("gro,lro"))];
        Assert.Equal(["offloads=gro"], Values(Find(4, fleet)));
        Assert.Equal(3, Find(3, fleet)!.Hosts.Count);
    }

    [Fact]
    public void A_driver_that_reads_only_the_old_format_keeps_a_host_apart_whatever_the_parameters()
    {
        var answer = Find(3, Host("a", Queues(4, 8)), Host("b", Queues(4, 8)), Older(Host("c", Queues(4, 8))));
        Assert.False(answer.Reached);
        Assert.Equal(["a", "b"], Hosts(answer));
        Assert.Equal(new BaselineScore(1, 100, 2), answer.AtMost);
        var left = Assert.Single(answer.Left);
        Assert.Equal("c", left.Host.Value);
        Assert.Contains(left.Reasons, reason => reason.Code == "device.stream-format-unknown");
    }

    [Fact]
    public void Turns_nothing_on_that_nobody_uses() =>
        Assert.Equal(["rx-filter-size=0"], Values(Find(2, Host("a", Filter(0)), Host("b", Filter(0)))));

    [Fact]
    public void A_host_that_would_make_another_value_is_no_home_for_it()
    {
        // Fixed at 8 it takes a device with 4 (at least), but what it makes has 8 and cannot go back.
        var fixedAt8 = Host("b", new ParameterDescriptor("rings", ParameterType.Number, ParameterComparator.AtLeast, "8", "0"));
        var upTo4 = Host("a", new ParameterDescriptor("rings", ParameterType.Number, ParameterComparator.AtLeast, "4", "0", SupportedValues.Range(0, 4)));
        var answer = Find(2, upTo4, fixedAt8);
        Assert.False(answer.Reached);
        Assert.Single(answer.Hosts);
        Assert.NotEmpty(Assert.Single(answer.Left).Reasons);
    }

    [Fact]
    public void Nobody_offers_the_class() =>
        Assert.Null(Baseline.Find([new HostOffer(new("a"), null)], 1, HandlerChain.Default));

    [Fact]
    public void Beyond_sixteen_choices_it_says_what_may_be_missing()
    {
        // Any two of twenty features exclude each other's host, so looking at everything takes too long.
        HostOffer[] fleet = [.. Enumerable.Range(0, 40).Select(host => Host($"h{host}",
            [.. Enumerable.Range(0, 20).Select(feature => new ParameterDescriptor($"f{feature:00}", ParameterType.Number,
                ParameterComparator.Equal, "1", "0", (host * 7 + feature * 11 + host * feature) % 5 < 2 ? SupportedValues.Range(0, 0) : SupportedValues.Range(0, 1)))]))];
        var answer = Find(12, fleet);
        Assert.True(answer.Reached);
        Assert.InRange(answer.Score.FeaturesOn, 1, answer.AtMost.FeaturesOn);
        Assert.Equal(answer.Exact, answer.AtMost == answer.Score);
    }

    [Fact]
    public void Is_movable_to_what_it_claims()
    {
        int reached = 0;
        for (int seed = 0; seed < 40; seed++)
        {
            var random = new RandomOffers(seed);
            var hosts = random.Hosts(14);
            VersionAnswers? answers = seed % 2 == 0 ? null : random.Answer;
            int minTargets = 1 + seed % 6;
            if (Baseline.Find(hosts, minTargets, HandlerChain.Default, answers) is not { } answer) continue;
            Assert.Equal(answer.Reached, answer.Hosts.Count >= minTargets);
            Assert.Equal(answer.Score.Hosts, answer.Hosts.Count);
            if (answer.Reached) reached++;
            ParameterDescriptor[] configuration = [.. answer.Parameters.Select(parameter => Configured(hosts, parameter))];
            var taken = hosts.Where(host => answer.Hosts.Contains(host.Host)).ToArray();
            foreach (var source in taken)
                foreach (var destination in taken)
                {
                    var device = source.Offer!.Instantiate(configuration);
                    // The interrupts follow from the values, and no template with other values tells them.
                    device = device with { Interrupts = destination.Offer!.Interrupts };
                    var answered = device.VersionString is { } version && answers is not null ? answers(version, destination.Host) : VersionAnswer.NotAsked;
                    Assert.True(HandlerChain.Default.Judge(new Candidate(device, destination.Offer, answered)).Verdict is Compatible,
                        $"seed {seed}: {source.Host} to {destination.Host}");
                }
            Assert.All(answer.Left, left => Assert.NotEmpty(left.Reasons));
        }
        Assert.InRange(reached, 5, 40);
    }

    [Fact]
    public void Finds_the_best_there_is()
    {
        for (int seed = 0; seed < 60; seed++)
        {
            var random = new Random(seed);
            HostOffer[] fleet = [.. Enumerable.Range(0, 6).Select(host => Host($"h{host}", [.. Enumerable.Range(0, 4)
                .Where(_ => random.Next(4) != 0)
                .Select(number => Number($"p{number}", (ulong)random.Next(4), 0, (ulong)random.Next(1, 5)))]))];
            int minTargets = random.Next(1, 7);
            var answer = Find(minTargets, fleet);
            Assert.True(answer.Exact);
            var best = EveryConfiguration(fleet).Where(found => found.Hosts >= minTargets)
                .Select(found => found.FeaturesOn).DefaultIfEmpty(-1).Max();
            Assert.Equal(best >= 0, answer.Reached);
            if (answer.Reached) Assert.Equal(best, answer.Score.FeaturesOn);
        }
    }

    /// <summary>Features on and hosts that take it, for each combination of values 0 to 4; what no host has on stays off.</summary>
    private static IEnumerable<(int FeaturesOn, int Hosts)> EveryConfiguration(HostOffer[] fleet)
    {
        string[] features = [.. fleet.SelectMany(host => host.Offer!.Parameters).Where(parameter => parameter.Value != "0").Select(parameter => parameter.Name).Distinct()];
        for (int code = 0; code < Math.Pow(5, features.Length); code++)
        {
            int rest = code;
            var values = features.ToDictionary(name => name, _ => Digit(ref rest));
            int hosts = fleet.Count(host => features.All(name =>
                host.Offer!.Parameters.FirstOrDefault(parameter => parameter.Name == name) is { } own
                    ? (ulong)values[name] <= own.Supported!.Maximum : values[name] == 0));
            yield return (values.Values.Count(value => value != 0), hosts);
        }
    }

    private static ParameterDescriptor Configured(HostOffer[] hosts, BaselineParameter parameter)
    {
        var declared = hosts.SelectMany(host => host.Offer?.Parameters ?? []).First(own => own.Name == parameter.Name);
        return declared with { Value = parameter.Value };
    }

    private static int Digit(ref int rest)
    {
        int value = rest % 5;
        rest /= 5;
        return value;
    }

    private static BaselineAnswer Find(int minTargets, params HostOffer[] fleet) => Baseline.Find(fleet, minTargets, HandlerChain.Default)!;

    private static string[] Values(BaselineAnswer answer) => [.. answer.Parameters.Select(parameter => $"{parameter.Name}={parameter.Value}")];

    private static string[] Hosts(BaselineAnswer answer) => [.. answer.Hosts.Select(host => host.Value)];
}
