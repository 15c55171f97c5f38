using System.Diagnostics;
using System.Globalization;
using MigrationCluster.Devices;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Tests.Processes;

public class GuestLifeTests
{
    [Fact]
    public async Task A_guest_left_paused_keeps_itself_without_any_daemon()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        foreach (var (_, device) in guest.Devices)
            if ((await device.ProbeMigrationAsync(default)).HasFlag(MigrationCapabilities.PreCopy))
                await device.SetStateAsync(DeviceState.PreCopy, default);
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await guest.Devices["net0"].SetStateAsync(DeviceState.PreCopyP2P, default);
        await guest.Devices["net1"].SetStateAsync(DeviceState.StopCopy, default);
        await guest.Devices["serial0"].SetStateAsync(DeviceState.Stop, default);
        // Set last, it counts from now: how long the steps above take on a busy machine does not matter.
        await guest.Machine.SetPauseDeadlineAsync(TimeSpan.FromMilliseconds(300), default);
        await guest.DisconnectAsync();

        await RunningGuest.Until(() => Task.FromResult(guest.Directory.Log.Contains("resumed", StringComparison.Ordinal)));
        await guest.ConnectAsync(Specs.Full(), new Fence(new Epoch(1), new Term(2)));
        Assert.True((await guest.Machine.ReadFenceAsync(default)).Kept);
        foreach (var (_, device) in guest.All) Assert.Equal(DeviceState.Running, await device.GetStateAsync(default));
        var check = await guest.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await guest.Machine.CastVoteAsync(Vote.Yielded, null, default));
        Assert.Equal(1, refused.Errno);
    }

    [Fact]
    public async Task A_dead_device_server_is_an_Error_and_the_guest_goes_on()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        using (var server = Process.GetProcessById(guest.DeviceServer("net1"))) server.Kill();
        await RunningGuest.Until(async () => await guest.Devices["net1"].GetStateAsync(default) == DeviceState.Error);
        await Assert.ThrowsAnyAsync<IOException>(async () => await guest.Devices["net1"].SetStateAsync(DeviceState.Stop, default));

        ulong written = await guest.Register(MachineRegisters.PageWrites);
        await RunningGuest.Until(async () => await guest.Register(MachineRegisters.PageWrites) > written + 1000);
        var check = await guest.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
        Assert.Contains("device net1 is lost", guest.Directory.Log, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_device_server_that_dies_while_everything_is_stopped_does_not_hold_the_guest_back()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        foreach (var (_, device) in guest.Devices) await device.SetStateAsync(DeviceState.StopCopy, default);
        using (var server = Process.GetProcessById(guest.DeviceServer("serial0"))) server.Kill();
        await RunningGuest.Until(async () => await guest.Devices["serial0"].GetStateAsync(default) == DeviceState.Error);
        await guest.DisconnectOneAsync("serial0");
        await LocalMove.RunAsync(guest);
        var check = await guest.CheckAsync();
        Assert.Equal((0UL, 0UL), (check.Wrong, check.WorkErrors));
    }

    [Fact]
    public async Task The_machine_waits_for_its_devices_on_the_way_back()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Specs.Device("serial0", "serial", [])));
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await guest.Devices["serial0"].SetStateAsync(DeviceState.Stop, default);
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(
            async () => await guest.Machine.SetStateAsync(DeviceState.Running, default));
        Assert.Equal(16, refused.Errno);
        await LocalMove.RunAsync(guest);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("net1")]
    public async Task SIGTERM_ends_it_in_good_order_and_leaves_the_fence_file(string? frozen)
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        int[] servers = [.. Specs.Full().Devices.Select(device => guest.DeviceServer(device.Name))];
        if (frozen is not null) await SignalAsync("STOP", guest.DeviceServer(frozen));
        await SignalAsync("TERM", guest.Process.Id);
        await guest.Process.WaitForExitAsync();
        Assert.Equal(0, guest.Process.ExitCode);
        Assert.All(servers, server => Assert.Throws<ArgumentException>(() => Process.GetProcessById(server)));
        string[] left = [.. Directory.GetFiles(guest.Directory.File("")).Select(file => Path.GetFileName(file)!).Order(StringComparer.Ordinal)];
        Assert.Equal([GuestFiles.Fence, GuestFiles.Fence + ".lock", GuestFiles.Log, GuestFiles.LaunchSpec], left);
    }

    private static async Task SignalAsync(string signal, int process)
    {
        using var kill = Process.Start("kill", [$"-{signal}", process.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
        Assert.Equal(0, kill.ExitCode);
    }

    [Fact]
    public async Task It_ends_when_its_machine_endpoint_is_told_so()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still());
        await guest.Machine.ShutDownAsync(default);
        await guest.Process.WaitForExitAsync();
        Assert.Equal(0, guest.Process.ExitCode);
    }

    [Fact]
    public async Task The_machines_dirty_pages_are_read_again_until_they_are_acknowledged()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Full());
        await guest.Machine.StartDirtyLogAsync(GuestMemoryLayout.PageSizeBytes, default);
        await RunningGuest.Until(async () => await guest.Register(MachineRegisters.PageWrites) > 500);
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        var first = new PageBitmap(guest.Layout.PageCount);
        ulong one = await guest.Machine.ReadDirtyAsync(first, default);
        Assert.False(first.IsEmpty);

        // A daemon that comes back without having acknowledged reads the same pages.
        await guest.DisconnectAsync();
        await guest.ConnectAsync(Specs.Full(), new Fence(new Epoch(1), new Term(2)));
        var second = new PageBitmap(guest.Layout.PageCount);
        ulong two = await guest.Machine.ReadDirtyAsync(second, default);
        Assert.True(two > one);
        Assert.Equal(first.Words.ToArray(), second.Words.ToArray());
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await guest.Machine.AckDirtyAsync(one, default));
        await guest.Machine.AckDirtyAsync(two, default);
        second.Clear();
        await guest.Machine.ReadDirtyAsync(second, default);
        Assert.True(second.IsEmpty);
    }

    [Fact]
    public async Task A_state_stream_is_retained_by_offset_until_acknowledged()
    {
        await using var guest = await RunningGuest.StartAsync(
            Specs.Still(Specs.Device("gpu0", "gpu", [], ("memory-mib", "24"), ("dirty-rate", "0"))));
        var gpu = guest.Devices["gpu0"];
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await gpu.SetStateAsync(DeviceState.StopCopy, default);
        byte[] chunk = new byte[1 << 20];
        byte[] again = new byte[1 << 20];
        ulong offset = 0;
        DeviceRefusedException? full = null;
        while (full is null)
        {
            full = await Record.ExceptionAsync(async () => offset += (ulong)await gpu.ReadStreamAsync(offset, chunk, default))
                as DeviceRefusedException;
        }
        Assert.Equal(11, full.Errno);
        Assert.Equal(16UL << 20, offset);
        int read = await gpu.ReadStreamAsync(offset - 5000, again, default);
        Assert.Equal(5000, read);
        Assert.Equal(chunk.AsSpan(chunk.Length - 5000).ToArray(), again.AsSpan(0, 5000).ToArray());

        await gpu.AckStreamAsync(offset, default);
        var gone = await Assert.ThrowsAsync<DeviceRefusedException>(async () => await gpu.ReadStreamAsync(0, chunk, default));
        Assert.Equal(22, gone.Errno);
        while (await gpu.ReadStreamAsync(offset, chunk, default) is var more and > 0) offset += (ulong)more;
        Assert.Equal(offset, (await gpu.GetStreamDigestAsync(default)).Bytes);

        // A new save session starts at 0 again.
        await LocalMove.RunAsync(guest);
        await guest.Machine.SetStateAsync(DeviceState.Stop, default);
        await gpu.SetStateAsync(DeviceState.StopCopy, default);
        Assert.Equal(0UL, (await gpu.GetStreamDigestAsync(default)).Bytes);
        Assert.True(await gpu.ReadStreamAsync(0, chunk, default) > 0);
    }

    [Fact]
    public async Task A_lost_a_stale_and_a_torn_page_are_each_counted_by_the_guest()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Specs.Device("net0", "net", [], ("dma-rate", "40"))));
        Assert.Equal(0UL, (await guest.CheckAsync()).Wrong);
        var ram = guest.MapRam();
        try
        {
            // Data pages start behind the version table; the last pages of RAM are the net's DMA area.
            ram[0].Span(100 * 4096, 4096).Clear();
            ram[0].Span(101 * 4096, 4096).Slice(7 * 512, 16).Clear();
            ram[0].Span(102 * 4096, 4096).CopyTo(ram[0].Span(103 * 4096, 4096));
            Assert.Equal(3UL, (await guest.CheckAsync()).Wrong);
        }
        finally
        {
            foreach (var memory in ram) memory.Dispose();
        }
    }

    [Fact]
    public async Task A_page_lost_together_with_its_version_is_told_by_the_accumulator()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still());
        var ram = guest.MapRam();
        try
        {
            ram[0].Span(100 * 4096, 4096).Clear();
            ram[0].Span(4096 + 100 * 4, 4).Clear();
            Assert.Equal(1UL, (await guest.CheckAsync()).Wrong);
        }
        finally
        {
            foreach (var memory in ram) memory.Dispose();
        }
    }

    [Fact]
    public async Task A_corrupted_DMA_page_is_told_by_the_nets_counters()
    {
        await using var guest = await RunningGuest.StartAsync(Specs.Still(Specs.Device("net0", "net", [], ("dma-rate", "0"))));
        var ram = guest.MapRam();
        try
        {
            ram[1].Span(ram[1].Length - 4096, 4096)[0] = 1;
            Assert.Equal(1UL, (await guest.CheckAsync()).Wrong);
        }
        finally
        {
            foreach (var memory in ram) memory.Dispose();
        }
    }
}
