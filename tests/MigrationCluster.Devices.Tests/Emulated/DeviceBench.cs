using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Emulated;

/// <summary>What tests need around a device: registers as numbers, RAM to write to, and a whole move to another device.</summary>
internal static class DeviceBench
{
    public static async Task<ulong> Read(this IMigratableDevice device, ulong register)
    {
        byte[] value = new byte[8];
        await device.ReadRegionAsync(DeviceRegisters.Bar, register, value, default);
        return BitConverter.ToUInt64(value);
    }

    public static async Task Write(this IMigratableDevice device, ulong register, ulong value) =>
        await device.WriteRegionAsync(DeviceRegisters.Bar, register, BitConverter.GetBytes(value), default);

    public static async Task MakeBusMaster(this IMigratableDevice device) => await device.WriteRegionAsync(
        DeviceRegisters.ConfigSpace, DeviceRegisters.PciCommand, BitConverter.GetBytes(DeviceRegisters.PciBusMaster), default);

    /// <summary>Waits for work in progress to reach a count; fails by the test's own time limit, never by a guess at speed.</summary>
    public static async Task Until(Func<Task<bool>> reached)
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!await reached())
        {
            await Task.Delay(1, limit.Token);
        }
    }

    public static async Task<byte[]> ReadAll(this IMigratableDevice device, int chunkBytes = 1 << 20)
    {
        using var stream = new MemoryStream();
        byte[] buffer = new byte[chunkBytes];
        while (await device.ReadDataAsync(buffer, default) is var n and > 0) stream.Write(buffer, 0, n);
        return stream.ToArray();
    }

    public static async Task WriteAll(this IMigratableDevice device, byte[] stream, int chunkBytes)
    {
        for (int at = 0; at < stream.Length; at += chunkBytes)
            await device.WriteDataAsync(stream.AsMemory(at, Math.Min(chunkBytes, stream.Length - at)), default);
    }

    public static async Task<byte[]> Save(this IMigratableDevice device)
    {
        await device.SetStateAsync(DeviceState.StopCopy, default);
        byte[] stream = await device.ReadAll();
        await device.SetStateAsync(DeviceState.Stop, default);
        return stream;
    }

    public static async Task Load(this IMigratableDevice device, byte[] stream, int chunkBytes = 1000)
    {
        await device.SetStateAsync(DeviceState.Resuming, default);
        await device.WriteAll(stream, chunkBytes);
        await device.SetStateAsync(DeviceState.Stop, default);
    }

    public static EmulatedDevice Create(string model, params (string Name, string Value)[] parameters) =>
        DeviceModels.Create(model, parameters.ToDictionary(p => p.Name, p => p.Value));

    public static DmaWindow Window(MemfdRam ram) =>
        new(new Iova(ram.Start), (ulong)ram.Memory.Length, true, true, ram.File, 0, null);
}

internal sealed class MemfdRam : IDisposable
{
    public MemfdRam(ulong start, int pages)
    {
        Start = start;
        File = Memfd.Create("test-ram", pages * 4096L);
        Memory = MappedMemory.Map(File, 0, pages * 4096L);
    }

    public ulong Start { get; }
    public Microsoft.Win32.SafeHandles.SafeFileHandle File { get; }
    public MappedMemory Memory { get; }

    public unsafe uint? Version(int page) => PageStamp.Read(Memory.Pointer + page * 4096L, Start / 4096 + (ulong)page);

    public void Dispose()
    {
        Memory.Dispose();
        File.Dispose();
    }
}
