using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

public class GpuDeviceTests
{
    private const int MiB = 1 << 20;

    [Theory]
    [InlineData(1 * MiB)]
    [InlineData(4097)]
    public async Task Pre_copy_sends_all_memory_once_and_then_what_changed(int chunkBytes)
    {
        await using var source = Create("gpu", ("memory-mib", "4"), ("dirty-rate", "64"));
        await using var destination = Create("gpu", ("memory-mib", "4"), ("dirty-rate", "64"));
        await Start(source);
        await source.SetStateAsync(DeviceState.PreCopy, default);
        Assert.Equal(new PreCopyBytes(4 * MiB, 0), await source.GetPreCopyBytesAsync(default));

        await destination.SetStateAsync(DeviceState.Resuming, default);
        byte[] chunk = new byte[chunkBytes];
        long early = 0;
        while (early < 6 * MiB)
        {
            int n = await source.ReadDataAsync(chunk, default);
            await destination.WriteDataAsync(chunk.AsMemory(0, n), default);
            early += n;
        }
        Assert.Equal(0UL, (await source.GetPreCopyBytesAsync(default))!.Value.InitialBytes);

        await source.SetStateAsync(DeviceState.StopCopy, default);
        byte[] late = await source.ReadAll();
        Assert.True(late.Length < 4 * MiB, $"{late.Length} bytes were left for stop-and-copy");
        await destination.WriteAll(late, chunkBytes);
        await source.SetStateAsync(DeviceState.Stop, default);
        await destination.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));

        ulong writes = await destination.Read(GpuRegisters.BlockWrites);
        await destination.SetStateAsync(DeviceState.Running, default);
        await Until(async () => await destination.Read(GpuRegisters.BlockWrites) > writes + 2000);
        Assert.Equal(0UL, await destination.Read(DeviceRegisters.Errors));
    }

    [Fact]
    public async Task Set_up_anew_in_pre_copy_it_has_initial_bytes_again()
    {
        await using var source = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await Start(source);
        await source.SetStateAsync(DeviceState.PreCopy, default);
        byte[] first = await source.ReadAll();
        Assert.Equal(new PreCopyBytes(0, 0), await source.GetPreCopyBytesAsync(default));

        ulong writes = await source.Read(GpuRegisters.BlockWrites);
        await source.Write(GpuRegisters.Reinitialize, 1);
        Assert.Equal(1UL * MiB, (await source.GetPreCopyBytesAsync(default))!.Value.InitialBytes);
        await Until(async () => await source.Read(GpuRegisters.BlockWrites) >= writes + 256);
        byte[] again = await source.ReadAll();
        Assert.True(again.Length >= MiB);
        Assert.Equal(0UL, (await source.GetPreCopyBytesAsync(default))!.Value.InitialBytes);

        await source.SetStateAsync(DeviceState.StopCopy, default);
        byte[] late = await source.ReadAll();
        await source.SetStateAsync(DeviceState.Stop, default);
        await using var destination = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await destination.Load([.. first, .. again, .. late]);
        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));
    }

    [Fact]
    public async Task A_block_lost_from_the_stream_is_noticed_before_the_device_leaves_Resuming()
    {
        await using var source = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await Start(source);
        byte[] stream = await source.Save();

        await using var destination = Create("gpu", ("memory-mib", "1"), ("dirty-rate", "0"));
        await destination.SetStateAsync(DeviceState.Resuming, default);
        byte[] damaged = [.. stream];
        damaged.AsSpan(16 + 8 + 8 + 8 + 8 + 10 * 4096, 4096).Clear();
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(() => destination.WriteAll(damaged, MiB));
        Assert.Equal(22, refused.Errno);
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await destination.SetStateAsync(DeviceState.Stop, default));
        Assert.Equal(DeviceState.Resuming, await destination.GetStateAsync(default));

        await destination.ResetAsync(default);
        Assert.Equal(DeviceState.Running, await destination.GetStateAsync(default));
        Assert.Equal(0UL, await destination.Read(GpuRegisters.Accumulator));
        await destination.Load(stream);
        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));
    }

    [Fact]
    public async Task Doorbells_are_counted_gaps_are_errors_and_a_stopped_device_refuses_them()
    {
        await using var gpu = Create("gpu", ("memory-mib", "1"));
        const ulong Slot = 2;
        const ulong Values = GpuRegisters.Slots + Slot * GpuRegisters.SlotBytes;
        await gpu.Write(GpuRegisters.Doorbells + Slot * 8, 1);
        await gpu.Write(GpuRegisters.Doorbells + Slot * 8, 2);
        Assert.Equal(0UL, await gpu.Read(DeviceRegisters.Errors));
        await gpu.SetStateAsync(DeviceState.RunningP2P, default);
        await gpu.Write(GpuRegisters.Doorbells + Slot * 8, 4);
        Assert.Equal(1UL, await gpu.Read(DeviceRegisters.Errors));

        await gpu.SetStateAsync(DeviceState.Stop, default);
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(() => gpu.Write(GpuRegisters.Doorbells + Slot * 8, 5));
        Assert.Equal(13, refused.Errno);
        Assert.Equal(3UL, await gpu.Read(Values + GpuRegisters.SlotCount));
        Assert.Equal(4UL, await gpu.Read(Values + GpuRegisters.SlotLast));
        Assert.Equal(1UL, await gpu.Read(GpuRegisters.DoorbellsRefused));

        // In StopCopy nobody reaches its registers, but what arrives there is still noticed.
        await gpu.SetStateAsync(DeviceState.StopCopy, default);
        await Assert.ThrowsAsync<DeviceRefusedException>(() => gpu.Write(GpuRegisters.Doorbells + Slot * 8, 5));
        await gpu.SetStateAsync(DeviceState.Stop, default);
        Assert.Equal(2UL, await gpu.Read(GpuRegisters.DoorbellsRefused));
    }

    [Fact]
    public async Task A_state_of_another_size_is_refused()
    {
        await using var source = Create("gpu", ("memory-mib", "1"));
        byte[] stream = await source.Save();
        await using var destination = Create("gpu", ("memory-mib", "2"));
        var refused = await Assert.ThrowsAsync<DeviceRefusedException>(() => destination.Load(stream));
        Assert.Contains("256 blocks, this one has 512", refused.Message, StringComparison.Ordinal);
    }

    private static async Task Start(IMigratableDevice gpu)
    {
        await gpu.Write(DeviceRegisters.Control, GpuRegisters.ControlEngine);
        await gpu.MakeBusMaster();
        await Until(async () => (await gpu.Read(DeviceRegisters.Status) & DeviceRegisters.StatusReady) != 0);
    }
}
