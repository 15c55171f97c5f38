using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.Contract;

/// <summary>The suite on the sample device; the subclasses choose its capabilities and the way to it.</summary>
public abstract class SampleDeviceContract(MigrationCapabilities capabilities) : MigratableDeviceContract
{
    private static readonly int[] PagesRung = [0, 3, 64, 255, 3];

    protected override (int Region, ulong Offset) Scratch => (0, 128);

    protected override Task<IMigratableDevice> CreateAsync() =>
        Task.FromResult<IMigratableDevice>(new SampleDevice(capabilities));

    protected override async Task ChangeAsync(IMigratableDevice device, ulong seed)
    {
        byte[] content = new byte[SampleDevice.ContentBytes];
        for (int i = 0; i < content.Length; i++) content[i] = (byte)(seed * 131 + (ulong)i * 7);
        await device.WriteRegionAsync(0, 0, content, default);
    }

    protected override async Task<ulong> FingerprintAsync(IMigratableDevice device)
    {
        byte[] content = new byte[SampleDevice.ContentBytes];
        await device.ReadRegionAsync(0, 0, content, default);
        return content.Aggregate(17ul, (sum, value) => sum * 31 + value);
    }

    protected override async Task<bool> StartDmaAsync(IMigratableDevice device, Iova window, ulong sizeBytes)
    {
        foreach (int page in PagesRung)
            await device.WriteRegionAsync(
                0, SampleDevice.Doorbell, BitConverter.GetBytes(window.Value + (ulong)page * 4096), default);
        return true;
    }
}

public sealed class FullSampleDeviceTests() : SampleDeviceContract(
    MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy);

public sealed class PlainSampleDeviceTests() : SampleDeviceContract(MigrationCapabilities.StopCopy);

/// <summary>The sample device behind a server of ours and a client of ours.</summary>
public abstract class ServedSampleDeviceContract(MigrationCapabilities capabilities) : SampleDeviceContract(capabilities)
{
    protected override async Task<IMigratableDevice> CreateAsync() =>
        await ServedDevice.StartAsync(await base.CreateAsync());
}

public sealed class FullServedSampleDeviceTests() : ServedSampleDeviceContract(
    MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy);

public sealed class PreCopyServedSampleDeviceTests() : ServedSampleDeviceContract(
    MigrationCapabilities.StopCopy | MigrationCapabilities.PreCopy);

public sealed class P2PServedSampleDeviceTests() : ServedSampleDeviceContract(
    MigrationCapabilities.StopCopy | MigrationCapabilities.P2P);
