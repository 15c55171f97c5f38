using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

/// <summary>Orders that whoever commands a guest must not give are refused by the guest process, by name, and cost nothing.</summary>
public class OrderTests
{
    [Fact]
    public async Task A_member_is_not_stopped_before_its_peer_is_quiet()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);

        await RefusedAsync(() => guest.Devices["gpu0"].SetStateAsync(DeviceState.Stop, default), "gpu0 must not go to Stop: net0 does P2P DMA into it");
        // net0 writes into nobody who stands still, and nobody writes into it.
        await guest.Devices["net0"].SetStateAsync(DeviceState.StopCopy, default);
        await guest.Devices["gpu0"].SetStateAsync(DeviceState.StopCopy, default);
        await AssertUnharmedAsync(guest);
    }

    [Fact]
    public async Task A_member_does_not_run_before_its_peer_is_RunningP2P()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (string name in (string[])["net0", "gpu0"]) await guest.Devices[name].SetStateAsync(DeviceState.RunningP2P, default);
        await guest.Devices["gpu0"].SetStateAsync(DeviceState.StopCopy, default);

        await RefusedAsync(
            () => guest.Devices["net0"].SetStateAsync(DeviceState.Running, default),
            "net0 must not go to Running: it does P2P DMA into gpu0, which is StopCopy");
        await guest.Devices["gpu0"].SetStateAsync(DeviceState.RunningP2P, default);
        await guest.Devices["net0"].SetStateAsync(DeviceState.Running, default);
        await AssertUnharmedAsync(guest);
    }

    [Fact]
    public async Task Interrupts_and_registers_are_let_be_in_a_state_that_forbids_them()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        var net = guest.Devices["net1"];
        await net.SetStateAsync(DeviceState.StopCopy, default);
        using var eventFd = EventFd.Create();

        await RefusedAsync(() => net.SetInterruptsAsync(2, [eventFd], default), "allows no InterruptSetup in StopCopy");
        await RefusedAsync(() => net.ReadRegionAsync(DeviceRegisters.Bar, 0, new byte[8], default), "allows no RegisterAccess in StopCopy");
        await RefusedAsync(
            () => net.WriteRegionAsync(DeviceRegisters.Bar, DeviceRegisters.Scratch, new byte[8], default), "allows no RegisterAccess in StopCopy");
        await RefusedAsync(() => net.WriteStreamAsync(0, new byte[8], default), "net1 allows no DataWrite in StopCopy");
        await net.SetStateAsync(DeviceState.Stop, default);
        await RefusedAsync(() => net.SetInterruptsAsync(2, [eventFd], default), "allows no InterruptSetup in Stop");
        await AssertUnharmedAsync(guest);
    }

    [Fact]
    public async Task A_guest_is_not_yielded_before_its_last_bitmaps_were_read()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        foreach (var (_, device) in guest.All) await device.StartDirtyLogAsync(GuestMemoryLayout.PageSizeBytes, default);
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (string name in (string[])["net0", "gpu0", "net1"])
            await guest.Devices[name].SetStateAsync(DeviceState.RunningP2P, default);
        // Too early: a quiet device still writes RAM.
        var pages = new PageBitmap(guest.Layout.PageCount);
        foreach (var (_, device) in guest.All) await device.ReadDirtyAsync(pages, default);
        await RefusedAsync(YieldAsync, "net0 is RunningP2P: stop it before the guest is yielded");
        foreach (var (_, device) in guest.All) await device.SetStateAsync(DeviceState.StopCopy, default);

        await RefusedAsync(YieldAsync, "net0's last dirty pages were not read since it stopped");
        foreach (var (_, device) in guest.Devices) await device.ReadDirtyAsync(pages, default);
        await YieldAsync();

        async ValueTask YieldAsync() => await guest.Machine.CastVoteAsync(Vote.Yielded, null, default);
    }

    /// <summary>By a way around the guest's own order: as from a device whose map nobody keeps.</summary>
    [Fact]
    public async Task A_P2P_write_that_arrives_too_late_is_counted_by_the_device_and_fails_the_self_check()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (string name in (string[])["net0", "gpu0"]) await guest.Devices[name].SetStateAsync(DeviceState.RunningP2P, default);
        await guest.Devices["gpu0"].SetStateAsync(DeviceState.Stop, default);
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await guest.Devices["gpu0"].WriteRegionAsync(
            DeviceRegisters.Bar, GpuRegisters.Doorbells + 8, BitConverter.GetBytes(1UL), default));
        await LocalMove.RunAsync(guest);

        byte[] late = new byte[8];
        await guest.Devices["gpu0"].ReadRegionAsync(DeviceRegisters.Bar, GpuRegisters.DoorbellsRefused, late, default);
        Assert.Equal(1UL, BitConverter.ToUInt64(late));
        Assert.Equal(1UL, (await guest.CheckAsync()).Wrong);
    }

    [Fact]
    public async Task A_member_that_is_left_behind_is_reached_by_nobody_and_the_others_run()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (string name in (string[])["net0", "gpu0"]) await guest.Devices[name].SetStateAsync(DeviceState.RunningP2P, default);
        await guest.Devices["gpu0"].SetStateAsync(DeviceState.Stop, default);
        await RefusedAsync(() => guest.Devices["net0"].SetStateAsync(DeviceState.Running, default), "gpu0, which is Stop");

        await guest.Machine.IsolateDeviceAsync(new DeviceName("gpu0"), default);
        Assert.Equal(2UL, await guest.Register(MachineRegisters.IsolatedDevices));
        await guest.Devices["net0"].SetStateAsync(DeviceState.Running, default);
        await guest.Machine.SetStateAsync(DeviceState.Running, default);
        ulong written = await guest.Register(MachineRegisters.PageWrites);
        await RunningGuest.Until(async () => await guest.Register(MachineRegisters.PageWrites) > written + 500);
        Assert.Equal(0UL, await guest.Register(MachineRegisters.PeerWritesRefused));
        var check = await guest.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
        Assert.Contains("gpu0 is left behind in Stop", guest.Directory.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_edge_that_may_be_removed_is_unmapped_from_the_pause_until_the_machine_resumes()
    {
        await using var source = await RunningGuest.StartAsync(Specs.Legacy(removable: true));
        await using var destination = await RunningGuest.StartAsync(Specs.Legacy(removable: true, incoming: true));
        using var move = new LocalMove(source, destination);
        await move.OpenAsync();
        await move.IterateAsync();
        await move.StopAsync();
        await move.FinishAsync();
        ulong held = await LegacyAsync(destination, NetRegisters.PeerSent);
        await move.SwitchAsync();

        await RunningGuest.Until(async () => await LegacyAsync(destination, NetRegisters.PeerSent) > held + 20);
        var check = await destination.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
        Assert.Equal(0UL, await destination.Register(MachineRegisters.PeerWritesRefused));
    }

    [Fact]
    public async Task An_edge_of_a_device_that_cannot_be_quiet_stands_in_the_way_while_it_is_mapped()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Legacy(removable: false));
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await guest.Devices["net0"].SetStateAsync(DeviceState.RunningP2P, default);
        await RefusedAsync(
            () => guest.Devices["gpu0"].SetStateAsync(DeviceState.Stop, default), "legacy0 does P2P DMA into it and is Running, not P2P-quiet");
        await LocalMove.RunAsync(guest);
    }

    private static async Task<ulong> LegacyAsync(RunningGuest guest, ulong register)
    {
        byte[] value = new byte[8];
        await guest.Devices["legacy0"].ReadRegionAsync(DeviceRegisters.Bar, register, value, default);
        return BitConverter.ToUInt64(value);
    }

    private static async Task RefusedAsync(Func<ValueTask> order, string reason)
    {
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await order());
        Assert.Contains(reason, refused.Message, StringComparison.Ordinal);
    }

    private static async Task AssertUnharmedAsync(RunningGuest guest)
    {
        await LocalMove.RunAsync(guest);
        var check = await guest.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
        Assert.Equal(0UL, await guest.Register(MachineRegisters.PeerWritesRefused));
    }
}
