using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>Whole guests in processes of their own, moved through their endpoints.</summary>
public class MigrationTests
{
    [Fact]
    public async Task A_working_guest_moves_and_finds_nothing_lost()
    {
        await using var source = await RunningGuest.StartAsync(Specs.Full());
        await using var destination = await RunningGuest.StartAsync(Specs.Full(incoming: true));
        var before = await source.CheckAsync();
        Assert.Equal((0UL, 0UL), (before.Wrong, before.WorkErrors));

        using var move = new LocalMove(source, destination);
        await move.OpenAsync();
        for (int iteration = 0; iteration < 4; iteration++)
        {
            ulong written = await source.Register(MachineRegisters.PageWrites);
            await RunningGuest.Until(async () => await source.Register(MachineRegisters.PageWrites) > written + 500);
            await move.IterateAsync();
        }
        await move.StopAsync();
        await move.FinishAsync();
        ulong atStop = await source.Register(MachineRegisters.PageWrites);
        ulong operations = await source.Register(MachineRegisters.RegisterOperations);
        ulong interrupts = await source.Register(MachineRegisters.Interrupts);
        Assert.True(move.PagesCopied > source.Layout.PageCount);
        Assert.True(interrupts > 0);

        await move.SwitchAsync();
        await RunningGuest.Until(async () => await destination.Register(MachineRegisters.PageWrites) > atStop + 1000
            && await destination.Register(MachineRegisters.RegisterOperations) > operations + 50);
        var after = await destination.CheckAsync();
        Assert.Equal((before.Pages, 0UL, 0UL), after);
        Assert.True(await destination.Register(MachineRegisters.Interrupts) > interrupts);
        Assert.Equal(0UL, await destination.Register(MachineRegisters.PeerWritesRefused));
        Assert.Equal(atStop, await source.Register(MachineRegisters.PageWrites));
        // P2P went on across the move, in one sequence.
        var (taken, last) = await DoorbellAsync(destination);
        Assert.True(taken > (await DoorbellAsync(source)).Taken);
        Assert.Equal(taken, last);
    }

    [Fact]
    public async Task A_move_that_is_given_up_leaves_the_source_as_it_was()
    {
        await using var source = await RunningGuest.StartAsync(Specs.Full());
        await using var destination = await RunningGuest.StartAsync(Specs.Full(incoming: true));
        using var move = new LocalMove(source, destination);
        await move.OpenAsync();
        await move.IterateAsync();
        await move.StopAsync();
        await source.Machine.CastVoteAsync(Protocol.Ownership.Vote.Kept, null, default);
        await LocalMove.RunAsync(source);
        var after = await source.CheckAsync();
        Assert.Equal((0UL, 0UL), (after.Wrong, after.WorkErrors));

        // Kept excludes stopping it again under this epoch.
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await source.Machine.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal(1, refused.Errno);
    }

    [Fact]
    public async Task A_page_that_is_not_copied_is_noticed_by_the_guest()
    {
        await using var source = await RunningGuest.StartAsync(Specs.Full());
        await using var destination = await RunningGuest.StartAsync(Specs.Full(incoming: true));
        using var move = new LocalMove(source, destination);
        await move.OpenAsync();
        await move.StopAsync();
        // The last dirty pages of one device and of the machine are dropped: what this project exists to prevent.
        foreach (var (_, device) in source.All)
            await device.AckDirtyAsync(await device.ReadDirtyAsync(new(source.Layout.PageCount), default), default);
        await move.FinishAsync();
        await move.SwitchAsync();
        Assert.True((await destination.CheckAsync()).Wrong > 0);
    }

    /// <summary>Read at once: the doorbell is rung on.</summary>
    private static async Task<(ulong Taken, ulong Last)> DoorbellAsync(RunningGuest guest)
    {
        byte[] values = new byte[16];
        await guest.Devices["gpu0"].ReadRegionAsync(
            DeviceRegisters.Bar, GpuRegisters.Slots + GpuRegisters.SlotCount, values, default);
        return (BitConverter.ToUInt64(values), BitConverter.ToUInt64(values, 8));
    }
}
