using System.Buffers.Binary;
using MigrationCluster.Devices.Native;
using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Tests.VfioKernel;

/// <summary>docs/kernel-vfio.md: every trap, and every errno of a bad stream as a named outcome.</summary>
public sealed class KernelTrapTests
{
    [Theory]
    [InlineData(DeviceState.PreCopy)]
    [InlineData(DeviceState.PreCopyP2P)]
    [InlineData(DeviceState.Error)]
    [InlineData((DeviceState)8)]
    public async Task A_way_that_does_not_exist_is_never_asked_of_the_kernel(DeviceState target)
    {
        await using var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.StopCopy, default);
        var refusal = await RefusedAsync(KernelOutcome.ArcRefused, async () => await bench.Device.SetStateAsync(target, default));
        Assert.Equal([DeviceState.StopCopy], bench.Mtty.Asked);
        Assert.Equal((DeviceState.StopCopy, Errno.EINVAL), (refusal.State, refusal.Errno));
    }

    [Theory]
    [InlineData(DeviceState.Resuming)]
    [InlineData(DeviceState.StopCopy)]
    [InlineData(DeviceState.Error)]
    public async Task A_device_that_an_earlier_owner_left_somewhere_is_reset_when_it_is_opened(DeviceState left)
    {
        await using var bench = new KernelBench();
        bench.Mtty.State = left;
        await bench.OpenAsync();
        Assert.Equal(1, bench.Mtty.Resets);
        Assert.Empty(bench.Mtty.Asked);
        Assert.Equal(DeviceState.Running, await bench.Device.GetStateAsync(default));
        Assert.Contains(bench.Log, line => line.Contains($"state {left}, left by an earlier owner", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_device_that_runs_is_not_reset_when_it_is_opened()
    {
        await using var bench = await new KernelBench().OpenAsync();
        Assert.Equal(0, bench.Mtty.Resets);
    }

    [Fact]
    public async Task A_device_left_somewhere_that_cannot_be_reset_is_not_opened_and_nothing_stays_open()
    {
        await using var bench = new KernelBench();
        (bench.Mtty.State, bench.Mtty.CanReset) = (DeviceState.Resuming, false);
        await RefusedAsync(KernelOutcome.Unsupported, bench.OpenAsync);
        Assert.Equal(0, bench.Kernel.OpenFiles);
    }

    [Fact]
    public async Task A_change_that_fails_on_the_way_says_where_the_device_rests()
    {
        await using var bench = await new KernelBench().OpenAsync();
        bench.Mtty.FailsAt = (DeviceState.Stop, DeviceState.StopCopy, Errno.EIO, false);
        var refusal = await RefusedAsync(
            KernelOutcome.ArcFailed, async () => await bench.Device.SetStateAsync(DeviceState.StopCopy, default));
        Assert.Equal(DeviceState.Stop, refusal.State);
        Assert.Equal(DeviceState.Stop, await bench.Device.GetStateAsync(default));
        // What is not allowed in Stop is refused by what GET said, not by what was asked for.
        await RefusedAsync(KernelOutcome.NotInThisState, async () => await bench.Device.ReadDataAsync(new byte[8], default));
        bench.Mtty.FailsAt = null;
        await bench.Device.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task A_change_that_breaks_the_device_leaves_the_reset_alone()
    {
        await using var bench = await new KernelBench().OpenAsync();
        bench.Mtty.FailsAt = (DeviceState.RunningP2P, DeviceState.Stop, Errno.EIO, true);
        await RefusedAsync(KernelOutcome.InError, async () => await bench.Device.SetStateAsync(DeviceState.Stop, default));
        await RefusedAsync(KernelOutcome.InError, async () => await bench.Device.SetStateAsync(DeviceState.Running, default));
        await RefusedAsync(KernelOutcome.InError, async () => await bench.Device.ReadRegionAsync(0, 0, new byte[1], default));
        bench.Mtty.FailsAt = null;
        await bench.Device.ResetAsync(default);
        await bench.Device.SetStateAsync(DeviceState.Stop, default);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_save_goes_on_on_the_same_data_fd_and_ends_with_zero_or_ENOMSG(bool noMessage)
    {
        await using var bench = await new KernelBench().OpenAsync();
        bench.Mtty.EndIsNoMessage = noMessage;
        await bench.Device.SetStateAsync(DeviceState.PreCopy, default);
        Assert.Equal(new PreCopyBytes(24, 0), await bench.Device.GetPreCopyBytesAsync(default));
        byte[] buffer = new byte[200];
        Assert.Equal(24, await bench.Device.ReadDataAsync(buffer, default));
        Assert.Equal(0, await bench.Device.ReadDataAsync(buffer, default));
        Assert.Equal(new PreCopyBytes(0, 0), await bench.Device.GetPreCopyBytesAsync(default));
        int open = bench.Kernel.OpenFiles;
        await bench.Device.SetStateAsync(DeviceState.PreCopyP2P, default);
        await bench.Device.SetStateAsync(DeviceState.StopCopy, default);
        Assert.Equal(open, bench.Kernel.OpenFiles);
        Assert.Equal(72, await bench.Device.ReadDataAsync(buffer, default));
        Assert.Equal(0, await bench.Device.ReadDataAsync(buffer, default));
        await bench.Device.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(open - 1, bench.Kernel.OpenFiles);
    }

    [Fact]
    public async Task A_driver_that_does_not_tell_pre_copy_bytes_is_no_failure()
    {
        await using var bench = await new KernelBench().OpenAsync();
        bench.Mtty.TellsPreCopy = false;
        await bench.Device.SetStateAsync(DeviceState.PreCopy, default);
        Assert.Null(await bench.Device.GetPreCopyBytesAsync(default));
    }

    public static TheoryData<string, KernelOutcome, int> BadStreams => new()
    {
        { "magic", KernelOutcome.StreamRefused, Errno.EFAULT },
        { "major", KernelOutcome.StreamRefused, Errno.EFAULT },
        { "minor", KernelOutcome.StreamRefused, Errno.EFAULT },
        { "of fewer ports", KernelOutcome.StreamRefused, Errno.EFAULT },
        { "of more ports", KernelOutcome.StreamTooLong, Errno.ENOMEM },
        { "one byte more", KernelOutcome.StreamTooLong, Errno.ENOMEM },
    };

    [Theory]
    [MemberData(nameof(BadStreams))]
    public async Task A_bad_stream_has_a_name_and_leaves_only_the_reset(string what, KernelOutcome outcome, int errno)
    {
        byte[] good = await SavedAsync(2);
        byte[] bad = what switch
        {
            "magic" => Changed(good, 0),
            "major" => Changed(good, 8),
            "minor" => Changed(good, 12),
            "of fewer ports" => await SavedAsync(1),
            "of more ports" => await SavedAsync(3),
            _ => [.. good, 0],
        };
        await using var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.Resuming, default);
        var refusal = await RefusedAsync(outcome, async () => await bench.Device.WriteDataAsync(bad, default));
        Assert.Equal((errno, DeviceState.Resuming), (refusal.Errno, refusal.State));
        Assert.Contains(FakeMtty.Uuid, refusal.Message, StringComparison.Ordinal);
        Assert.Contains("reset it", refusal.Message, StringComparison.Ordinal);

        // The kernel would take the rest and load it; nothing reaches it any more.
        await RefusedAsync(KernelOutcome.LoadFailed, async () => await bench.Device.WriteDataAsync(good, default));
        int asked = bench.Mtty.Asked.Count;
        await RefusedAsync(KernelOutcome.LoadFailed, async () => await bench.Device.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal(asked, bench.Mtty.Asked.Count);
        await bench.Device.ResetAsync(default);
        await bench.Device.SetStateAsync(DeviceState.Resuming, default);
        await bench.Device.WriteDataAsync(good, default);
        await bench.Device.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task A_stream_that_ends_too_early_can_be_completed()
    {
        byte[] stream = await SavedAsync(2);
        await using var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.Resuming, default);
        await bench.Device.WriteDataAsync(stream.AsMemory(0, 40), default);
        var refusal = await RefusedAsync(
            KernelOutcome.StreamIncomplete, async () => await bench.Device.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal((DeviceState.Resuming, Errno.EINVAL), (refusal.State, refusal.Errno));
        await bench.Device.WriteDataAsync(stream.AsMemory(40), default);
        await bench.Device.SetStateAsync(DeviceState.Stop, default);
    }

    [Fact]
    public async Task The_session_of_a_data_fd_ends_with_a_reset()
    {
        await using var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.StopCopy, default);
        bench.Mtty.Reset();
        bench.Mtty.State = DeviceState.StopCopy;
        var refusal = await RefusedAsync(KernelOutcome.SessionEnded, async () => await bench.Device.ReadDataAsync(new byte[8], default));
        Assert.Equal(Errno.ENODEV, refusal.Errno);
    }

    [Fact]
    public async Task One_interrupt_index_is_bound_at_a_time()
    {
        await using var bench = await new KernelBench().OpenAsync();
        using var eventFd = EventFd.Create();
        await bench.Device.SetInterruptsAsync(1, [eventFd], default);
        await RefusedAsync(KernelOutcome.InterruptsBound, async () => await bench.Device.SetInterruptsAsync(0, [eventFd], default));
        await bench.Device.SetInterruptsAsync(1, [], default);
        await bench.Device.SetInterruptsAsync(0, [eventFd], default);
    }

    [Fact]
    public async Task Registers_of_a_device_that_stands_still_are_left_alone_and_config_space_is_not()
    {
        await using var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.Stop, default);
        await RefusedAsync(KernelOutcome.NotInThisState, async () => await bench.Device.WriteRegionAsync(0, 7, new byte[1], default));
        await bench.Device.WriteRegionAsync(7, 4, new byte[2], default);
    }

    [Theory]
    [InlineData(false, true, DirtySource.Iommu)] // every kernel without iommufd: the probe and START say yes, REPORT does not
    [InlineData(false, false, DirtySource.Everything)]
    [InlineData(true, true, DirtySource.Device)]
    public async Task The_dirty_log_is_the_first_that_can_be_read(bool deviceReports, bool type1, DirtySource expected)
    {
        const int bytes = 64 * 4096;
        await using var bench = await new KernelBench().OpenAsync();
        (bench.Mtty.ReportWorks, bench.Mtty.Type1Logs) = (deviceReports, type1);
        using var file = Memfd.Create("kernel", bytes);
        await bench.Device.MapDmaAsync(new DmaWindow(new Iova(0x10000), bytes, true, true, file, 0, null), default);
        await bench.Device.StartDirtyLogAsync(4096, default);
        Assert.Equal(expected, bench.Device.DirtySource);
        Assert.Equal(expected == DirtySource.Device, bench.Mtty.DeviceLogs);
        byte[] bitmap = new byte[8];
        await bench.Device.ReportDirtyAsync(new Iova(0x10000), bytes, bitmap, default);
        Assert.All(bitmap, bits => Assert.Equal(expected == DirtySource.Everything ? 0xFF : 0, bits));
    }

    [Fact]
    public async Task A_window_that_is_mapped_while_the_device_logs_is_logged_too_and_the_gap_counts_as_written()
    {
        const int bytes = 64 * 4096;
        await using var bench = await new KernelBench().OpenAsync();
        bench.Mtty.ReportWorks = true;
        using var file = Memfd.Create("kernel", bytes);
        await bench.Device.MapDmaAsync(new DmaWindow(new Iova(0x10000), bytes, true, true, file, 0, null), default);
        await bench.Device.StartDirtyLogAsync(4096, default);
        await bench.Device.MapDmaAsync(new DmaWindow(new Iova(0x1000000), bytes, true, true, file, 0, null), default);
        foreach (ulong start in new[] { 0x10000ul, 0x1000000ul })
        {
            byte[] first = new byte[8], second = new byte[8];
            await bench.Device.ReportDirtyAsync(new Iova(start), bytes, first, default);
            await bench.Device.ReportDirtyAsync(new Iova(start), bytes, second, default);
            Assert.All(first, bits => Assert.Equal(0xFF, bits));
            Assert.All(second, bits => Assert.Equal(0, bits));
        }
    }

    [Fact]
    public async Task What_cannot_be_opened_is_named_with_its_errno_and_nothing_stays_open()
    {
        await using var bench = new KernelBench();
        bench.Kernel.Unopenable["/dev/vfio/7"] = Errno.EBUSY;
        var refusal = await RefusedAsync(KernelOutcome.NotOpened, bench.OpenAsync);
        Assert.Contains("/dev/vfio/7 (EBUSY)", refusal.Message, StringComparison.Ordinal);
        bench.Kernel.Unopenable.Clear();
        bench.Kernel.Viable = false;
        refusal = await RefusedAsync(KernelOutcome.NotOpened, bench.OpenAsync);
        Assert.Contains("group 7 is not viable", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(0, bench.Kernel.OpenFiles);
    }

    [Theory]
    [InlineData(Errno.EINVAL)]
    [InlineData(Errno.EBUSY)]
    public async Task A_cdev_that_another_process_has_is_refused_as_that_and_nothing_stays_open(int errno)
    {
        await using var bench = new KernelBench(iommufd: true);
        bench.Kernel.Bound = -errno;
        var refusal = await RefusedAsync(KernelOutcome.NotOpened, bench.OpenAsync);
        Assert.Equal(errno, refusal.Errno);
        Assert.Contains("a device that no other process has", refusal.Message, StringComparison.Ordinal);
        Assert.Equal(0, bench.Kernel.OpenFiles);
    }

    [Fact]
    public async Task Without_iommufd_a_device_with_a_cdev_is_opened_by_its_group()
    {
        await using var bench = new KernelBench(iommufd: true);
        bench.Kernel.Unopenable["/dev/iommu"] = Errno.ENOENT;
        await bench.OpenAsync();
        Assert.Equal("group 7", bench.Device.OpenedBy);
    }

    [Fact]
    public async Task A_device_without_migration_runs_and_says_so()
    {
        await using var bench = await new KernelBench(capabilities: MigrationCapabilities.None).OpenAsync();
        Assert.Equal(MigrationCapabilities.None, await bench.Device.ProbeMigrationAsync(default));
        Assert.Equal(DeviceState.Running, await bench.Device.GetStateAsync(default));
        await RefusedAsync(KernelOutcome.ArcRefused, async () => await bench.Device.SetStateAsync(DeviceState.Stop, default));
    }

    [Fact]
    public async Task Everything_is_closed_with_the_device()
    {
        var bench = await new KernelBench().OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.StopCopy, default);
        await bench.DisposeAsync();
        Assert.Equal(0, bench.Kernel.OpenFiles);
    }

    private static async Task<byte[]> SavedAsync(int ports)
    {
        await using var bench = await new KernelBench(ports).OpenAsync();
        await bench.Device.SetStateAsync(DeviceState.StopCopy, default);
        byte[] stream = new byte[200];
        return stream[..await bench.Device.ReadDataAsync(stream, default)];
    }

    private static byte[] Changed(byte[] stream, int at)
    {
        byte[] changed = [.. stream];
        BinaryPrimitives.WriteUInt32LittleEndian(changed.AsSpan(at), BinaryPrimitives.ReadUInt32LittleEndian(changed.AsSpan(at)) + 1);
        return changed;
    }

    private static async Task<KernelRefusedException> RefusedAsync(KernelOutcome outcome, Func<Task> act)
    {
        var refusal = await Assert.ThrowsAsync<KernelRefusedException>(act);
        Assert.Equal(outcome, refusal.Outcome);
        return refusal;
    }
}
