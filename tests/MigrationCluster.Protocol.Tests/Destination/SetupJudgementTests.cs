using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.Tests.Destination;

public sealed class SetupJudgementTests
{
    private static readonly CompatibilityReason Queues =
        new("device.parameter-mismatch", "queues=8", "queues=4", CompatibilitySide.Destination, "allow 8 queues");

    [Fact]
    public void Missing_and_extra_devices_are_told_beside_what_the_others_say()
    {
        var answered = Judge(["net0", "gpu0"], ["net0", "serial0"], ("net0", new Incompatible([Queues, Queues])));

        Assert.Equal(
            ["device.missing gpu0", "device.extra serial0", "device.parameter-mismatch net0", "device.parameter-mismatch net0"],
            answered.Refusals.Select(refusal => $"{refusal.Code} {refusal.Device}"));
    }

    [Fact]
    public void A_reason_keeps_what_each_side_has_and_where_the_remedy_goes()
    {
        var refusal = Judge(["net0"], ["net0"], ("net0", new Incompatible([Queues]))).Refusals[0];

        Assert.Equal(("queues=8", "queues=4", CompatibilitySide.Destination), (refusal.Expected, refusal.Actual, refusal.Side));
        Assert.Equal("net0: the source has queues=8, the destination queues=4", refusal.Message);
    }

    [Fact]
    public void What_is_unknown_is_no_refusal_by_itself_and_what_is_dropped_is_kept()
    {
        var answered = Judge(
            ["net0", "gpu0"], ["net0", "gpu0"],
            ("net0", new Unknown([Queues])), ("gpu0", new Compatible(default, ["statistics"])));

        Assert.Empty(answered.Refusals);
        Assert.Equal("net0", Assert.Single(answered.Unknown).Device);
        var dropped = Assert.Single(answered.Dropped);
        Assert.Equal(("gpu0", "statistics"), (dropped.Device, Assert.Single(dropped.Sections)));
    }

    private static DestinationCommand.SetupAnswered Judge(
        string[] source, string[] own, params (string Device, Verdict Verdict)[] verdicts) => SetupJudgement.Of(
        [.. source.Select((name, slot) => new SetupRecord(name, slot, DeviceDescriptor.Empty(DescriptorKind.Device)))], own,
        verdicts.ToDictionary(pair => pair.Device, pair => pair.Verdict), default);
}
