using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

public class FencingTests
{
    private const int EPERM = 1;
    private static readonly LaunchSpec OneSerial = Specs.Still(Specs.Device("serial0", "serial", []));

    [Fact]
    public async Task An_incoming_guest_runs_nothing_without_a_permit()
    {
        await using var guest = await RunningGuest.StartAsync(OneSerial with { Incoming = true });
        Assert.Equal(DeviceState.Stop, await guest.Machine.GetStateAsync(default));
        Assert.Contains("no permit(e1)", await RefusalAsync(() => guest.Machine.SetStateAsync(DeviceState.Running, default)), StringComparison.Ordinal);
        var serial = guest.Devices["serial0"];
        await serial.SetStateAsync(DeviceState.Stop, default);
        Assert.Contains("no permit(e1)", await RefusalAsync(() => serial.SetStateAsync(DeviceState.Running, default)), StringComparison.Ordinal);
        // Neither vote is to be had by asking: nothing was loaded.
        await RefusalAsync(async () => await guest.Machine.CastVoteAsync(Vote.Verified, "d", default));
        await RefusalAsync(async () => await guest.Machine.CastVoteAsync(Vote.Permit, null, default));
    }

    [Fact]
    public async Task A_yielded_guest_stays_stopped_until_a_higher_epoch()
    {
        await using var guest = await RunningGuest.StartAsync(OneSerial);
        await RefusalAsync(async () => await guest.Machine.CastVoteAsync(Vote.Yielded, null, default));
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await RefusalAsync(async () => await guest.Machine.CastVoteAsync(Vote.Yielded, null, default));
        await guest.Devices["serial0"].SetStateAsync(DeviceState.Stop, default);
        await guest.Machine.CastVoteAsync(Vote.Yielded, null, default);
        Assert.Contains("Yielded(e1)", await RefusalAsync(() => guest.Machine.SetStateAsync(DeviceState.Running, default)), StringComparison.Ordinal);
        await RefusalAsync(async () => await guest.Machine.CastVoteAsync(Vote.Kept, null, default));

        await guest.Machine.BindAsync(new GuestName("vm1"), Fence(2, 1), default);
        await guest.Devices["serial0"].BindAsync(new GuestName("vm1"), Fence(2, 1), default);
        await guest.Devices["serial0"].SetStateAsync(DeviceState.Running, default);
        await guest.Machine.SetStateAsync(DeviceState.Running, default);
        Assert.Equal(0UL, (await guest.CheckAsync()).Wrong);
    }

    [Fact]
    public async Task An_older_session_and_one_for_another_guest_are_refused_everywhere()
    {
        await using var guest = await RunningGuest.StartAsync(OneSerial with { Epoch = 5 });
        var serial = guest.Devices["serial0"];
        await RefusalAsync(() => guest.Machine.BindAsync(new GuestName("vm1"), Fence(4, 9), default));
        await RefusalAsync(() => guest.Machine.BindAsync(new GuestName("vm2"), Fence(6, 1), default));

        await using var newer = await MachineEndpointClient.ConnectAsync(guest.Directory.File("machine.sock"));
        await newer.BindAsync(new GuestName("vm1"), Fence(6, 1), default);
        // The device's endpoint has heard of no newer session, but the guest has.
        await RefusalAsync(() => serial.SetStateAsync(DeviceState.Stop, default));
        await RefusalAsync(() => guest.Machine.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal(DeviceState.Running, await serial.GetStateAsync(default));
        Assert.Equal(Fence(6, 1), (await newer.ReadFenceAsync(default)).Fence);
    }

    [Fact]
    public async Task An_owner_is_neither_loaded_nor_reset()
    {
        await using var guest = await RunningGuest.StartAsync(OneSerial);
        await RefusalAsync(() => guest.Machine.SetStateAsync(DeviceState.Resuming, default));
        await RefusalAsync(() => guest.Devices["serial0"].SetStateAsync(DeviceState.Resuming, default));
        await RefusalAsync(() => guest.Devices["serial0"].ResetAsync(default));
        Assert.Equal(DeviceState.Running, await guest.Devices["serial0"].GetStateAsync(default));
    }

    [Fact]
    public async Task The_fence_file_outlives_the_process_and_is_asked_at_launch()
    {
        await using var directory = new GuestDirectory();
        directory.Write(OneSerial with { Epoch = 3 });
        using (var first = directory.Launch())
        {
            await RunningGuest.Until(() => Task.FromResult(File.Exists(directory.File(GuestFiles.ProcessId))));
            first.Kill();
            await first.WaitForExitAsync();
        }
        // Its device servers end with it; until the last has, the lock says that the guest lives.
        using (var fence = FenceFile.Open(directory.File(""), inheritLock: false, TimeSpan.FromSeconds(30)))
            Assert.NotNull(fence.TryRaise(Fence(4, 0)));

        directory.Write(OneSerial with { Epoch = 3 });
        using (var older = directory.Launch())
        {
            await older.WaitForExitAsync();
            Assert.Equal(1, older.ExitCode);
        }
        Assert.Contains("newer than (e3, t1)", directory.Log, StringComparison.Ordinal);

        await File.WriteAllTextAsync(directory.File(GuestFiles.Fence), "{");
        using (var corrupt = directory.Launch())
        {
            await corrupt.WaitForExitAsync();
            Assert.Equal(1, corrupt.ExitCode);
        }
        Assert.Contains($"fence file {directory.File(GuestFiles.Fence)} cannot be read", directory.Log, StringComparison.Ordinal);
        File.Delete(directory.File(GuestFiles.Fence));
    }

    private static async Task<string> RefusalAsync(Func<ValueTask> action)
    {
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await action());
        Assert.Equal(EPERM, refused.Errno);
        return refused.Message;
    }

    private static Fence Fence(ulong epoch, ulong term) => new(new Epoch(epoch), new Term(term));
}
