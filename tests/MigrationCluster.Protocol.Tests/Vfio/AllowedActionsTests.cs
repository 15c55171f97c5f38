using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Vfio;

public sealed class AllowedActionsTests
{
    public static TheoryData<BackEnd, DeviceState> EveryState
    {
        get
        {
            var data = new TheoryData<BackEnd, DeviceState>();
            foreach (var backEnd in Enum.GetValues<BackEnd>())
                foreach (var state in Enum.GetValues<DeviceState>())
                    data.Add(backEnd, state);
            return data;
        }
    }

    [Theory]
    [MemberData(nameof(EveryState))]
    public void What_the_state_itself_means_holds_on_every_back_end(BackEnd backEnd, DeviceState state)
    {
        bool running = state is DeviceState.Running or DeviceState.PreCopy;
        bool quiet = state is DeviceState.RunningP2P or DeviceState.PreCopyP2P;
        Assert.Equal(DeviceArcs.IsSaving(state), AllowedActions.Allows(backEnd, state, DeviceAction.DataRead));
        Assert.Equal(state == DeviceState.Resuming, AllowedActions.Allows(backEnd, state, DeviceAction.DataWrite));
        Assert.Equal(running || quiet, AllowedActions.Allows(backEnd, state, DeviceAction.OutgoingDma));
        Assert.Equal(running || quiet, AllowedActions.Allows(backEnd, state, DeviceAction.IncomingP2P));
        Assert.Equal(running, AllowedActions.Allows(backEnd, state, DeviceAction.OutgoingP2P));
        Assert.Equal(state != DeviceState.Error, AllowedActions.Allows(backEnd, state, DeviceAction.DirtyReport));
    }

    [Theory]
    [InlineData(DeviceState.Stop, false)]
    [InlineData(DeviceState.StopCopy, false)]
    [InlineData(DeviceState.Error, false)]
    [InlineData(DeviceState.Resuming, true)]
    [InlineData(DeviceState.Running, true)]
    [InlineData(DeviceState.RunningP2P, true)]
    [InlineData(DeviceState.PreCopy, true)]
    [InlineData(DeviceState.PreCopyP2P, true)]
    public void A_vfio_user_server_maps_DMA_and_sets_interrupts_only_while_it_runs_or_loads(DeviceState state, bool allowed)
    {
        Assert.Equal(allowed, AllowedActions.Allows(BackEnd.VfioUser, state, DeviceAction.DmaMap));
        Assert.Equal(allowed, AllowedActions.Allows(BackEnd.VfioUser, state, DeviceAction.InterruptSetup));
    }

    [Fact]
    public void The_kernel_takes_interrupts_after_Resuming_ends_and_before_Running()
    {
        Assert.False(AllowedActions.Allows(BackEnd.Kernel, DeviceState.Resuming, DeviceAction.InterruptSetup));
        Assert.True(AllowedActions.Allows(BackEnd.Kernel, DeviceState.Stop, DeviceAction.InterruptSetup));
    }

    [Fact]
    public void All_of_several_actions_must_be_allowed() =>
        Assert.False(AllowedActions.Allows(
            BackEnd.VfioUser, DeviceState.Stop, DeviceAction.RegisterAccess | DeviceAction.DmaMap));
}
