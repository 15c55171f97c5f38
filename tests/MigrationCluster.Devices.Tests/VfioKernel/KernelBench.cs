using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Tests.VfioKernel;

/// <summary>A fake kernel with an mtty, a sysfs that says where it is, and the device opened.</summary>
internal sealed class KernelBench : IAsyncDisposable
{
    public const MigrationCapabilities All = MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy;

    private readonly string _sysfs = Directory.CreateTempSubdirectory("mck").FullName;

    public KernelBench(int ports = 2, MigrationCapabilities capabilities = All, bool iommufd = false)
    {
        Mtty = new FakeMtty(ports, capabilities);
        Kernel = new FakeKernel(Mtty, iommufd);
        Mtty.Kernel = Kernel;
        string device = $"{_sysfs}/bus/mdev/devices/{FakeMtty.Uuid}";
        Directory.CreateDirectory(device);
        File.CreateSymbolicLink($"{device}/iommu_group", "../../../../kernel/iommu_groups/7");
        File.CreateSymbolicLink($"{device}/mdev_type", $"../mdev_supported_types/mtty-{ports}");
        File.CreateSymbolicLink($"{device}/driver", "../../drivers/mtty");
        if (iommufd) Directory.CreateDirectory($"{device}/vfio-dev/vfio0");
    }

    public FakeMtty Mtty { get; }

    public FakeKernel Kernel { get; }

    public List<string> Log { get; } = [];

    public VfioKernelDevice Device { get; private set; } = null!;

    public async Task<KernelBench> OpenAsync()
    {
        Device = await VfioKernelDevice.OpenAsync(
            FakeMtty.Uuid, new VfioKernelOptions(_sysfs) { Calls = Kernel }, Log.Add);
        return this;
    }

    public async ValueTask DisposeAsync()
    {
        if (Device is not null) await Device.DisposeAsync();
        Directory.Delete(_sysfs, recursive: true);
    }
}
