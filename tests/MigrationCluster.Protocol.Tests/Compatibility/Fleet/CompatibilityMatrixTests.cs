using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

public sealed class CompatibilityMatrixTests
{
    /// <summary>More distinct hosts than are compared pair by pair.</summary>
    private const int Hosts = 64;

    [Fact]
    public void Says_what_the_chain_says_pair_by_pair()
    {
        var seen = new HashSet<VerdictKind>();
        for (int seed = 0; seed < 40; seed++) seen.UnionWith(CheckAgainstChain(seed, HandlerChain.Default, DescriptorKind.Template));
        Assert.Equal(4, seen.Count);
    }

    [Fact]
    public void Says_what_the_chain_says_of_devices_that_exist()
    {
        var seen = new HashSet<VerdictKind>();
        for (int seed = 0; seed < 16; seed++) seen.UnionWith(CheckAgainstChain(seed, HandlerChain.Default, DescriptorKind.Device));
        Assert.Equal(4, seen.Count);
    }

    [Fact]
    public void Says_what_the_chain_says_of_a_device_known_by_its_shape()
    {
        for (int seed = 0; seed < 8; seed++) Check(seed, HandlerChain.Default, new RandomOffers(seed).Foreign(Hosts), null);
    }

    [Fact]
    public void Asks_a_vendors_handler_about_every_pair()
    {
        var vendor = new DriverVersionHandler();
        var chain = new HandlerChain([vendor, .. HandlerChain.Default.Handlers]);
        for (int seed = 0; seed < 16; seed++) CheckAgainstChain(seed, chain, DescriptorKind.Template);
        Assert.NotEqual(0, vendor.Decided);
    }

    [Fact]
    public void Without_a_generic_handler_nobody_may_have_the_word()
    {
        for (int seed = 0; seed < 8; seed++)
            CheckAgainstChain(seed, new HandlerChain([new DriverVersionHandler()]), DescriptorKind.Template);
    }

    private static HashSet<VerdictKind> CheckAgainstChain(int seed, HandlerChain chain, DescriptorKind kind)
    {
        var random = new RandomOffers(seed);
        var hosts = random.Hosts(Hosts, kind);
        return Check(seed, chain, hosts, seed % 2 == 0 ? null : random.Answer);
    }

    private static HashSet<VerdictKind> Check(int seed, HandlerChain chain, HostOffer[] hosts, VersionAnswers? answers)
    {
        var matrix = CompatibilityMatrix.Build(hosts, chain, answers);
        var seen = new HashSet<VerdictKind>();
        for (int i = 0; i < Hosts; i++)
            for (int j = 0; j < Hosts; j++)
            {
                var expected = VerdictKind.Absent;
                if (hosts[i].Offer?.Instantiate() is { } source && hosts[j].Offer is { } offer)
                {
                    var answer = source.VersionString is { } version && answers is not null ? answers(version, hosts[j].Host) : VersionAnswer.NotAsked;
                    expected = chain.Judge(new Candidate(source, offer, answer)).Verdict switch
                    {
                        Compatible => VerdictKind.Compatible,
                        Unknown => VerdictKind.Unknown,
                        _ => VerdictKind.Incompatible,
                    };
                }
                Assert.True(expected == matrix[i, j], $"seed {seed}: {i} to {j} is {matrix[i, j]} instead of {expected}");
                seen.Add(expected);
            }
        return seen;
    }

    /// <summary>Looks at what no rule compares.</summary>
    private sealed class DriverVersionHandler : ICompatibilityHandler
    {
        public int Decided { get; private set; }

        public string Name => "vendor";

        public Verdict? Judge(Candidate candidate)
        {
            if (candidate.Source.Driver?.Version is not { } from || candidate.Destination.Driver?.Version is not { } to || from[0] == to[0]) return null;
            Decided++;
            return from.Length > to.Length
                ? new Incompatible([new CompatibilityReason("vendor.older", from, to, CompatibilitySide.Destination, "upgrade")])
                : new Compatible(default, []);
        }
    }
}
