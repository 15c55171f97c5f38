using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Protocol.Vfio.DeviceState;

namespace MigrationCluster.Protocol.Tests.Vfio;

public sealed class PeerOrderTests
{
    [Theory]
    [InlineData(RunningP2P, Stop, Running, "net0 does P2P DMA into it and is Running, not P2P-quiet")]
    [InlineData(PreCopyP2P, StopCopy, PreCopy, "net0 does P2P DMA into it and is PreCopy, not P2P-quiet")]
    [InlineData(RunningP2P, Stop, RunningP2P, null)]
    [InlineData(RunningP2P, Stop, Error, null)]
    [InlineData(StopCopy, Stop, Running, null)]
    [InlineData(Running, RunningP2P, Running, null)]
    public void A_device_is_stopped_only_once_all_that_are_mapped_into_it_are_quiet(
        DeviceState from, DeviceState next, DeviceState writer, string? expected)
    {
        string? refusal = PeerOrder.Refusal("gpu0", from, next, [("net0", writer)], []);
        Assert.Equal(expected is null ? null : $"gpu0 must not go to {next}: {expected}", refusal);
    }

    [Theory]
    [InlineData(RunningP2P, Running, Stop, false)]
    [InlineData(RunningP2P, Running, StopCopy, false)]
    [InlineData(RunningP2P, Running, Resuming, false)]
    [InlineData(RunningP2P, Running, Error, false)]
    [InlineData(PreCopyP2P, PreCopy, Stop, false)]
    [InlineData(RunningP2P, Running, RunningP2P, true)]
    [InlineData(RunningP2P, Running, PreCopyP2P, true)]
    [InlineData(Stop, RunningP2P, Stop, true)]
    [InlineData(PreCopy, Running, Stop, true)]
    public void A_device_runs_only_once_all_it_is_mapped_into_take_P2P(DeviceState from, DeviceState next, DeviceState target, bool may)
    {
        string? refusal = PeerOrder.Refusal("net0", from, next, [], [("gpu0", target)]);
        Assert.Equal(may, refusal is null);
        if (!may) Assert.Equal($"net0 must not go to {next}: it does P2P DMA into gpu0, which is {target}", refusal);
    }
}
