using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Tests.Compatibility.Fleet;

/// <summary>A guest with one device of version 1.1.4 on host home, and where it could go.</summary>
public sealed class CandidateSearchTests
{
    private static readonly GuestDevice[] Devices = [new("nic0", "nic", Offer(new InterfaceVersion(1, 1, 4)).Instantiate())];

    [Fact]
    public void Every_other_host_is_listed_the_best_first_and_each_loser_with_its_reasons()
    {
        var ranked = Rank(
            Host("newer-minor", new InterfaceVersion(1, 2, 0)),
            Host("other-major", new InterfaceVersion(2, 0, 0)),
            Host("same", new InterfaceVersion(1, 1, 4)),
            Host("more-bugs-mended", new InterfaceVersion(1, 1, 9)),
            new HostOffers(new HostName("without"), new Dictionary<string, DeviceDescriptor>()));

        Assert.Equal(["more-bugs-mended", "same", "newer-minor", "other-major", "without"], ranked.Select(host => host.Host.Value));
        Assert.Equal(
            [VerdictKind.Compatible, VerdictKind.Compatible, VerdictKind.Compatible, VerdictKind.Incompatible, VerdictKind.Absent],
            ranked.Select(host => host.Verdict));
        Assert.Equal("device.interface-major-mismatch", Assert.Single(ReasonsOf(ranked[3])).Code);
        Assert.Equal("device.class-absent", Assert.Single(ReasonsOf(ranked[4])).Code);
    }

    [Fact]
    public void A_host_it_could_not_come_back_from_ranks_behind_one_it_could_and_says_so()
    {
        var ranked = Rank(Host("one-way", new InterfaceVersion(1, 2, 0)), Host("both-ways", new InterfaceVersion(1, 1, 0)));

        Assert.Equal(["both-ways", "one-way"], ranked.Select(host => host.Host.Value));
        Assert.Equal([VerdictKind.Compatible, VerdictKind.Incompatible], ranked.Select(host => host.Return));
        Assert.IsType<Incompatible>(Assert.Single(ranked[1].Devices).Return!.Verdict);
    }

    [Fact]
    public void The_way_back_is_that_of_the_device_it_would_be_there_and_not_of_the_hosts_own_defaults()
    {
        // The host gives its own guests 16 queues, which home cannot; a guest that comes with 4 keeps them and can go home.
        var generous = Offer(new InterfaceVersion(1, 1, 4), "16", SupportedValues.Range(1, 64));
        var ranked = Rank(new HostOffers(new HostName("generous"), new Dictionary<string, DeviceDescriptor> { ["nic"] = generous }));

        Assert.Equal(VerdictKind.Compatible, Assert.Single(ranked).Return);
    }

    private static IReadOnlyList<HostRanking> Rank(params HostOffers[] hosts) => CandidateSearch.Rank(
        Devices, [Host("home", new InterfaceVersion(1, 1, 4)), .. hosts], new HostName("home"), HandlerChain.Default);

    private static IReadOnlyList<CompatibilityReason> ReasonsOf(HostRanking host) =>
        Assert.IsType<Incompatible>(Assert.Single(host.Devices).Judgement.Verdict).Reasons;

    private static HostOffers Host(string name, InterfaceVersion version) =>
        new(new HostName(name), new Dictionary<string, DeviceDescriptor> { ["nic"] = Offer(version) });

    private static DeviceDescriptor Offer(InterfaceVersion version, string queues = "4", SupportedValues? supported = null) =>
        DeviceDescriptor.Empty(DescriptorKind.Template) with
        {
            Model = "vendor.example/nic",
            InterfaceVersion = version,
            Parameters =
            [
                new ParameterDescriptor(
                    "queues", ParameterType.Number, ParameterComparator.Equal, queues, "1", supported ?? SupportedValues.Range(1, 8)),
            ],
            Capabilities = Protocol.Vfio.MigrationCapabilities.StopCopy,
        };
}
