using MigrationCluster.Api;
using MigrationCluster.Cli.Demo;

namespace MigrationCluster.Cli.Tests.Demo;

public sealed class DemoSettingsTests
{
    [Fact]
    public void Devices_are_named_by_kind_and_number_and_the_first_net_reaches_the_gpu()
    {
        var devices = Settings("net", "gpu", "serial", "net").Devices();
        Assert.Equal(["net0", "gpu0", "serial0", "net1"], devices.Select(device => device.Name));
        Assert.Equal(["gpu0"], devices[0].PeerToPeer);
        Assert.All(devices.Skip(1), device => Assert.Null(device.PeerToPeer));
    }

    [Fact]
    public void Without_a_gpu_nobody_has_a_peer() =>
        Assert.All(Settings("net", "net").Devices(), device => Assert.Null(device.PeerToPeer));

    [Fact]
    public void Verified_needs_every_device_that_was_asked_for()
    {
        var check = new DemoSelfCheck(new(100, 0, 10, 0, 1, 1), new(100, 0, 20, 0, 2, 2));
        var moved = Samples.Migration(Outcomes.Completed, report: Samples.Report());
        Assert.True(Verified(Settings("net", "gpu"), moved, check));
        Assert.False(Verified(Settings("net", "gpu", "serial"), moved, check));
        Assert.False(Verified(Settings("net", "gpu"), Samples.Migration(Outcomes.Completed, report: Samples.Report(false)), check));
        Assert.False(Verified(Settings("net", "gpu"), Samples.Migration(Outcomes.Aborted, report: Samples.Report()), check));
        Assert.False(Verified(Settings("net", "gpu"), moved, null));
    }

    [Theory]
    [InlineData(0, 0, 100, 20, true)]
    [InlineData(1, 0, 100, 20, false)]
    [InlineData(0, 1, 100, 20, false)]
    [InlineData(0, 0, 99, 20, false)]
    [InlineData(0, 0, 100, 10, false)]
    public void A_check_is_clean_when_nothing_is_wrong_and_the_guest_went_on_working(
        long wrong, long workErrors, long pages, long pageWrites, bool clean) => Assert.Equal(
        clean, new DemoSelfCheck(new(100, 0, 10, 0, 1, 1), new(pages, wrong, pageWrites, workErrors, 2, 2)).Clean);

    [Fact]
    public void Too_little_memory_is_said_before_anything_is_started()
    {
        var error = Assert.Throws<ApiException>(() => MachineMemory.Require(int.MaxValue)).Error;
        Assert.Contains($"{int.MaxValue} MiB are needed", Assert.Single(error.Reasons).Message);
    }

    private static bool Verified(DemoSettings settings, MigrationView moved, DemoSelfCheck? check) =>
        DemoResult.Of(settings, moved.Outcome, moved, check, null, []).Verified;

    private static DemoSettings Settings(params string[] kinds) => new(128, 10, kinds, TimeSpan.FromSeconds(1), false);
}
