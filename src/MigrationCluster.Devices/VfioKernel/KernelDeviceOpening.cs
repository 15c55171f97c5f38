using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>
/// Opens a device the way this kernel has, and says each step:
///
/// <code>
///   iommufd   /dev/iommu -> device cdev -> BIND -> IOAS_ALLOC -> (HWPT_ALLOC with dirty tracking) -> ATTACH
///   group     /dev/vfio/vfio -> API version, type 1 -> /dev/vfio/GROUP -> viable -> SET_CONTAINER -> SET_IOMMU -> GET_DEVICE_FD
/// </code>
/// </summary>
internal sealed class KernelDeviceOpening(KernelDeviceNode node, VfioKernelOptions options, Action<string> log)
{
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(20);

    public async Task<(KernelFile Device, IKernelDmaSpace Space)> OpenAsync(CancellationToken cancellationToken)
    {
        if (node.CharacterDevice is { } cdev)
        {
            int iommufd = options.Calls.Open($"{options.Dev}/iommu");
            if (iommufd >= 0) return await OpenCdevAsync(new KernelFile(options.Calls, iommufd, "/dev/iommu"), cdev, cancellationToken);
            if (node.Group is null)
                throw Refuse($"cannot open {options.Dev}/iommu", "iommufd", "load the module iommufd, and see this process's rights", -iommufd);
            log($"cannot open {options.Dev}/iommu ({Errno.Name(-iommufd)}): the group is used");
        }
        return await OpenGroupAsync(node.Group!.Value, cancellationToken);
    }

    private async Task<(KernelFile, IKernelDmaSpace)> OpenGroupAsync(int number, CancellationToken cancellationToken)
    {
        var container = await OpenFileAsync($"{options.Dev}/vfio/vfio", "load the module vfio, and see this process's rights", cancellationToken);
        KernelFile? group = null;
        try
        {
            int version = VfioUapi.GetApiVersion(container);
            if (version != VfioUapi.ApiVersion)
                throw Refuse($"{container.Name} speaks version {version}", $"version {VfioUapi.ApiVersion}", "use a kernel with the VFIO of linux/vfio.h", Math.Max(0, -version));
            if (VfioUapi.CheckExtension(container, VfioUapi.Type1v2) <= 0)
                throw Refuse("the container has no type 1 IOMMU", "the module vfio_iommu_type1", "load vfio_iommu_type1", Errno.ENODEV);
            log($"container {container.Name} is open");
            group = await OpenFileAsync(
                $"{options.Dev}/vfio/{number}", "see whether the device is bound to a VFIO driver, and this process's rights", cancellationToken);
            Check(VfioUapi.GetGroupStatus(group, out bool viable), "GROUP_GET_STATUS");
            if (!viable)
                throw Refuse($"group {number} is not viable", "every device of the group bound to a VFIO driver, or to none",
                    $"look at {options.Sysfs}/kernel/iommu_groups/{number}/devices", Errno.EPERM);
            log($"group {number} is open and viable");
            Check(VfioUapi.SetContainer(group, container), "GROUP_SET_CONTAINER");
            Check(VfioUapi.SetIommu(container, VfioUapi.Type1v2), "SET_IOMMU");
            log("container has the group and a type 1 IOMMU");
            int device = Check(VfioUapi.GetDevice(group, node.Id), "GROUP_GET_DEVICE_FD");
            return (container.Wrap(device, node.Id), new Type1Space(container, group, number));
        }
        catch
        {
            group?.Dispose();
            container.Dispose();
            throw;
        }
    }

    private async Task<(KernelFile, IKernelDmaSpace)> OpenCdevAsync(KernelFile iommufd, string cdev, CancellationToken cancellationToken)
    {
        KernelFile? device = null;
        try
        {
            log($"{iommufd.Name} is open");
            device = await OpenFileAsync($"{options.Dev}/vfio/devices/{cdev}", "see this process's rights", cancellationToken);
            log($"cdev {cdev} is open");
            int bound = VfioUapi.BindIommufd(device, iommufd, out uint id);
            // Opening a cdev never fails for who comes second; binding does: EINVAL when another has it by its cdev, EBUSY when by its group.
            if (bound is -Errno.EINVAL or -Errno.EBUSY)
                throw Refuse("BIND_IOMMUFD failed", "a device that no other process has", $"end the process that has {cdev} or its group open", -bound);
            Check(bound, "BIND_IOMMUFD");
            Check(VfioUapi.AllocateIoas(iommufd, out uint ioas), "IOAS_ALLOC");
            uint? table = null;
            // An emulated device has no hardware to ask; of another IOMMU than one that tracks the table is refused. Neither is an error.
            if (VfioUapi.GetHardware(iommufd, id, out bool tracks) >= 0 && tracks && VfioUapi.AllocateTable(iommufd, id, ioas, out uint made) >= 0)
                table = made;
            Check(VfioUapi.Attach(device, table ?? ioas), "ATTACH_IOMMUFD_PT");
            log($"attached to an IOAS {(table is null ? "without dirty tracking in the IOMMU" : "with dirty tracking in the IOMMU")}");
            return (device, new IommufdSpace(iommufd, ioas, table));
        }
        catch
        {
            device?.Dispose();
            iommufd.Dispose();
            throw;
        }
    }

    private async Task<KernelFile> OpenFileAsync(string path, string next, CancellationToken cancellationToken)
    {
        long start = TimeProvider.System.GetTimestamp();
        while (true)
        {
            int file = options.Calls.Open(path);
            if (file >= 0) return new KernelFile(options.Calls, file, path);
            // The kernel makes the device, udev makes its file.
            if (file != -Errno.ENOENT || TimeProvider.System.GetElapsedTime(start) >= options.FileWait)
                throw Refuse($"cannot open {path}", "a VFIO file that nobody else holds", next, -file);
            await Task.Delay(BetweenLooks, cancellationToken);
        }
    }

    private int Check(int result, string call) =>
        result >= 0 ? result : throw Refuse($"{call} failed", "success", "see the kernel's log of this host (dmesg)", -result);

    private KernelRefusedException Refuse(string what, string expected, string next, int errno) =>
        KernelRefusals.Opening(node.Id, what, expected, next, errno);
}
