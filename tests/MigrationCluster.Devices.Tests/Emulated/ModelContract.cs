using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Protocol.Memory;
using static MigrationCluster.Devices.Tests.Emulated.DeviceBench;

namespace MigrationCluster.Devices.Tests.Emulated;

/// <summary>The suite on an emulated model; the subclasses choose the model and the way to it.</summary>
public abstract class ModelContract(string model, params string[] parameters) : MigratableDeviceContract
{
    protected override (int Region, ulong Offset) Scratch => (DeviceRegisters.Bar, DeviceRegisters.Scratch);

    protected string Model => model;

    protected IReadOnlyDictionary<string, string> Parameters =>
        parameters.Select(p => p.Split('=')).ToDictionary(p => p[0], p => p[1]);

    protected override Task<IMigratableDevice> CreateAsync() =>
        Task.FromResult<IMigratableDevice>(DeviceModels.Create(model, Parameters));

    protected override async Task ChangeAsync(IMigratableDevice device, ulong seed)
    {
        await device.Write(DeviceRegisters.Scratch, seed);
        switch (model)
        {
            case "net":
                await device.Write(NetRegisters.FilterIndex, seed);
                await device.Write(NetRegisters.FilterValue, seed * 7);
                break;
            case "gpu":
                ulong writes = await device.Read(GpuRegisters.BlockWrites);
                await device.Write(DeviceRegisters.Control, GpuRegisters.ControlEngine);
                await Until(async () => await device.Read(GpuRegisters.BlockWrites) > writes + 300);
                await device.Write(DeviceRegisters.Control, 0);
                await device.Write(GpuRegisters.Doorbells, await device.Read(GpuRegisters.Slots + GpuRegisters.SlotLast) + 1);
                break;
            case "legacy":
                await device.Write(NetRegisters.PeerAddress, seed);
                break;
            default:
                await device.Write(SerialRegisters.Transmit, seed);
                break;
        }
    }

    protected override Task<ulong> FingerprintAsync(IMigratableDevice device) => device.Read(DeviceRegisters.Checksum);

    protected override async Task<bool> StartDmaAsync(IMigratableDevice device, Iova window, ulong sizeBytes)
    {
        if (model is not ("net" or "legacy")) return false;
        await device.Write(NetRegisters.DmaBase, window.Value);
        await device.Write(NetRegisters.DmaSizeBytes, sizeBytes);
        await device.Write(DeviceRegisters.Control, NetRegisters.ControlDma);
        await device.MakeBusMaster();
        return true;
    }
}

public abstract class ServedModelContract(string model, params string[] parameters) : ModelContract(model, parameters)
{
    protected override async Task<IMigratableDevice> CreateAsync() => await ServedDevice.StartAsync(await base.CreateAsync());
}

public sealed class NetContractTests() : ModelContract("net", "dma-rate=32", "rx-filter-size=64");

public sealed class GpuContractTests() : ModelContract("gpu", "memory-mib=1", "dirty-rate=64");

public sealed class SerialContractTests() : ModelContract("serial");

public sealed class LegacyContractTests() : ModelContract("legacy", "dma-rate=32");

public sealed class ServedLegacyContractTests() : ServedModelContract("legacy", "dma-rate=32");

public sealed class ServedNetContractTests() : ServedModelContract("net", "dma-rate=32");

public sealed class ServedGpuContractTests() : ServedModelContract("gpu", "memory-mib=1", "dirty-rate=64");

public sealed class ServedSerialContractTests() : ServedModelContract("serial");
