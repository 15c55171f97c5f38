using System.Runtime.CompilerServices;
using MigrationCluster.Devices.Tests.Contract;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.VfioKernel;

/// <summary>The suite on a device of a fake kernel that answers as mtty does.</summary>
public abstract class KernelContract(MigrationCapabilities capabilities, bool iommufd = false, bool deviceLogs = false, bool iommuLogs = false)
    : MigratableDeviceContract
{
    private static readonly int[] PagesRung = [0, 3, 64, 255, 3];
    private static readonly ConditionalWeakTable<IMigratableDevice, KernelBench> Benches = [];

    protected override BackEnd BackEnd => BackEnd.Kernel;

    protected override (int Region, ulong Offset) Scratch => (0, FakeMtty.Scratch);

    protected override int ScratchBytes => 1;

    /// <summary>mtty's reset does not, and no kernel promises it.</summary>
    protected override bool ResetClearsRegisters => false;

    /// <summary>mtty checks its header and its length; what lies behind is the data plane's check to keep.</summary>
    protected override IReadOnlyList<int> CheckedBytes(int streamBytes) => [0, 8, 12, 16];

    protected override async Task<IMigratableDevice> CreateAsync()
    {
        var bench = new KernelBench(2, capabilities, iommufd);
        bench.Mtty.ReportWorks = deviceLogs;
        bench.Kernel.TracksDirty = iommuLogs;
        await bench.OpenAsync();
        Benches.Add(bench.Device, bench);
        return bench.Device;
    }

    protected override async Task ChangeAsync(IMigratableDevice device, ulong seed)
    {
        await device.WriteRegionAsync(0, FakeMtty.Scratch, new[] { (byte)(seed * 37 + 1) }, default);
        await device.WriteRegionAsync(1, 0, new[] { (byte)(seed * 11 + 3) }, default);
    }

    /// <remarks>Past the seam: a device that stands still lets nobody at its registers.</remarks>
    protected override Task<ulong> FingerprintAsync(IMigratableDevice device)
    {
        var mtty = Benches.GetValue(device, _ => throw new InvalidOperationException()).Mtty;
        ulong sum = 17;
        for (int port = 0; port < 2; port++)
            for (int register = 0; register < 8; register++) sum = sum * 31 + mtty.Read(port, register);
        return Task.FromResult(sum);
    }

    protected override async Task<bool> StartDmaAsync(IMigratableDevice device, Iova window, ulong sizeBytes)
    {
        foreach (int page in PagesRung)
            await device.WriteRegionAsync(FakeMtty.DoorbellRegion, 0, BitConverter.GetBytes(window.Value + (ulong)page * 4096), default);
        return true;
    }
}

/// <summary>A stock kernel: group, and a DMA log that starts and cannot be read, so the type 1 IOMMU's counts.</summary>
public sealed class GroupKernelContractTests() : KernelContract(KernelBench.All);

/// <summary>A driver that logs its own DMA.</summary>
public sealed class LoggingKernelContractTests() : KernelContract(KernelBench.All, iommufd: true, deviceLogs: true);

/// <summary>iommufd over an IOMMU that logs.</summary>
public sealed class IommufdKernelContractTests() : KernelContract(KernelBench.All, iommufd: true, iommuLogs: true);

public sealed class StopCopyKernelContractTests() : KernelContract(MigrationCapabilities.StopCopy);

public sealed class PreCopyKernelContractTests() : KernelContract(MigrationCapabilities.StopCopy | MigrationCapabilities.PreCopy);
