using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Vfio;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

public class SerialDeviceTests
{
    [Fact]
    public async Task Bytes_under_way_move_with_the_device()
    {
        await using var source = Create("serial");
        await source.Write(DeviceRegisters.Scratch, 42);
        foreach (byte value in "abc"u8.ToArray()) await source.Write(SerialRegisters.Transmit, value);
        Assert.Equal('a', (char)await source.Read(SerialRegisters.Receive));

        await using var destination = Create("serial");
        await destination.Load(await source.Save(), chunkBytes: 3);
        Assert.Equal(await source.Read(DeviceRegisters.Checksum), await destination.Read(DeviceRegisters.Checksum));
        Assert.Equal(42UL, await destination.Read(DeviceRegisters.Scratch));
        Assert.Equal('b', (char)await destination.Read(SerialRegisters.Receive));
        Assert.Equal('c', (char)await destination.Read(SerialRegisters.Receive));
        Assert.Equal(ulong.MaxValue, await destination.Read(SerialRegisters.Receive));
    }

    [Fact]
    public async Task It_has_neither_pre_copy_nor_P2P_states()
    {
        await using var serial = Create("serial");
        Assert.Equal(MigrationCapabilities.StopCopy, await serial.ProbeMigrationAsync(default));
        foreach (var state in new[] { DeviceState.PreCopy, DeviceState.PreCopyP2P, DeviceState.RunningP2P })
            await Assert.ThrowsAsync<DeviceRefusedException>(async () => await serial.SetStateAsync(state, default));
        Assert.Equal(DeviceState.Running, await serial.GetStateAsync(default));
    }

    [Fact]
    public async Task A_device_with_an_incomplete_stream_does_not_leave_Resuming()
    {
        await using var serial = Create("serial");
        byte[] stream = await serial.Save();
        await using var destination = Create("serial");
        await destination.SetStateAsync(DeviceState.Resuming, default);
        await destination.WriteDataAsync(stream.AsMemory(0, stream.Length - 1), default);
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await destination.SetStateAsync(DeviceState.Running, default));
        Assert.Equal(DeviceState.Resuming, await destination.GetStateAsync(default));
        await destination.WriteDataAsync(stream.AsMemory(stream.Length - 1), default);
        await destination.SetStateAsync(DeviceState.Running, default);
    }

    [Fact]
    public async Task An_interrupt_reaches_the_bound_eventfd()
    {
        await using var serial = Create("serial");
        using var eventFd = EventFd.Create();
        await serial.SetInterruptsAsync(2, [eventFd], default);
        await serial.Write(SerialRegisters.Transmit, 1);
        Assert.Equal(1UL, EventFd.Take(eventFd));
        await serial.SetStateAsync(DeviceState.Stop, default);
        await Assert.ThrowsAsync<DeviceRefusedException>(async () => await serial.SetInterruptsAsync(2, [], default));
    }
}
