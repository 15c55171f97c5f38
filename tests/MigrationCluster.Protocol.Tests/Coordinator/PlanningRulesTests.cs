using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Tests.Coordinator;

public sealed class PlanningRulesTests
{
    private static readonly HostName Home = new("alpha");
    private static readonly HostName There = new("beta");
    private static readonly CompatibilityReason Reason = new("device.x", "1", "2", CompatibilitySide.Destination, "mend it");
    private static readonly Judgement Yes = new(new Compatible(default, []), "generic");

    [Fact]
    public void Every_reason_of_every_device_is_told_with_its_device()
    {
        var judged = Judge(
            Device("net0", "net", new Incompatible([Reason, Reason])), Device("gpu0", "gpu", new Incompatible([Reason])),
            Device("tape0", "tape", new Incompatible([Reason])), Device("serial0", "serial", new Unknown([Reason])));

        Assert.Equal(
            ["device.x net0", "device.x net0", "device.x gpu0", "destination.template tape0"],
            judged.Refusals.Select(refusal => $"{refusal.Code} {refusal.Device}"));
        Assert.Equal("serial0", Assert.Single(judged.Unknown).Device);
        Assert.False(judged.Takes(unknownAccepted: true));
    }

    [Fact]
    public void Unknown_refuses_unless_it_is_accepted()
    {
        var judged = Judge(Device("net0", "net", new Unknown([Reason])));

        Assert.False(judged.Takes(unknownAccepted: false));
        Assert.True(judged.Takes(unknownAccepted: true));
    }

    [Fact]
    public void No_way_back_is_told_and_refuses_nothing()
    {
        var judged = Judge(
            new DeviceRanking("net0", "net", Yes, new Judgement(new Incompatible([Reason]), "generic")),
            new DeviceRanking("gpu0", "gpu", Yes, null), new DeviceRanking("serial0", "serial", Yes, null));

        Assert.True(judged.Takes(unknownAccepted: false));
        Assert.Equal(["device.x net0", "destination.template gpu0"], judged.NoWayBack.Select(why => $"{why.Code} {why.Device}"));
        Assert.Contains("alpha has 2", judged.NoWayBack[0].Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, 3, 1, 16, "")]
    [InlineData(1, 3, 2, 16, "data-plane.wire-version upgrade alpha")]
    [InlineData(3, 3, 2, 16, "data-plane.wire-version upgrade beta")]
    [InlineData(1, 8, 1, 4, "data-plane.channels have alpha open fewer, or upgrade beta")]
    [InlineData(1, 8, 2, 4, "data-plane.wire-version upgrade alpha; data-plane.channels have alpha open fewer, or upgrade beta")]
    public void Data_planes_that_do_not_fit_name_the_side_to_change(int sends, int channels, int takes, int most, string expected)
    {
        var refusals = PlanningRules.JudgeDataPlanes(
            Home, new DataPlaneFacts(sends, channels, 16), There, new DataPlaneFacts(takes, 3, most));

        Assert.Equal(expected, string.Join("; ", refusals.Select(refusal => $"{refusal.Code} {refusal.Remedy}")));
    }

    private static DeviceRanking Device(string name, string @class, Verdict verdict) =>
        new(name, @class, new Judgement(verdict, "generic"), null);

    private static HostJudgement Judge(params DeviceRanking[] devices) => PlanningRules.Judge(
        new HostRanking(There, VerdictKind.Compatible, VerdictKind.Compatible, default, devices),
        new HostOffers(There, new[] { "net", "gpu", "serial" }.ToDictionary(name => name, _ => DeviceDescriptor.Empty(DescriptorKind.Template))),
        new HostOffers(Home, new[] { "net", "serial" }.ToDictionary(name => name, _ => DeviceDescriptor.Empty(DescriptorKind.Template))));
}
