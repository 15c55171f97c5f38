using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioKernel;

/// <summary>What sysfs says of one device that a VFIO driver has: where to open it, and what made it.</summary>
/// <param name="Id">UUID of a mediated device, or address of a PCI function.</param>
/// <param name="Group">its IOMMU group; null: it has none, and can be opened as a cdev only.</param>
/// <param name="CharacterDevice">its name in /dev/vfio/devices; null: this kernel has no cdevs.</param>
/// <param name="MediatedType">the mediated type's id, e.g. mtty-2; null: a PCI function.</param>
/// <param name="Driver">the bound driver, e.g. mtty or mlx5_vfio_pci; null: sysfs does not say.</param>
/// <param name="Version">the opaque version attribute's place; null: a PCI function.</param>
internal sealed record KernelDeviceNode(
    string Id, int? Group, string? CharacterDevice, string? MediatedType, string? Driver, VersionAttribute? Version)
{
    private const string Mediated = "bus/mdev/devices";

    /// <exception cref="KernelRefusedException">there is no such device, or nothing by which it could be opened.</exception>
    public static KernelDeviceNode Find(string sysfs, string id)
    {
        bool mediated = Guid.TryParseExact(id, "D", out _);
        if (!mediated && !PciReader.Address().IsMatch(id))
            throw KernelRefusals.Opening(
                id, $"'{id}' names no device", "the UUID of a mediated device or the address of a PCI function, e.g. 0000:03:00.2",
                "look at `mc-node inventory`", Errno.EINVAL);
        var findings = new List<SysfsFinding>();
        var directory = new SysfsDirectory($"{sysfs}/{(mediated ? Mediated : PciReader.Devices)}/{id}", findings);
        if (!directory.Exists)
            throw KernelRefusals.Opening(
                id, $"there is no {directory.Path}", mediated ? "a mediated device that was created" : "a PCI function of this host",
                "look at `mc-node inventory`", Errno.ENOENT);
        var cdevs = directory.At("vfio-dev");
        string? cdev = cdevs.Exists ? cdevs.Entries().FirstOrDefault(name => name.StartsWith("vfio", StringComparison.Ordinal)) : null;
        int? group = PciReader.ReadIommuGroup(directory);
        if (group is null && cdev is null)
            throw KernelRefusals.Opening(
                id, $"{directory.Path} has neither an IOMMU group nor a VFIO device", "a device bound to a VFIO driver",
                "bind it to its vfio driver, and see that the host's IOMMU is on", Errno.ENODEV);
        string? driver = directory.LinkedName("driver", required: false);
        return mediated
            ? new KernelDeviceNode(id, group, cdev, directory.LinkedName("mdev_type", required: true), driver, VersionAttribute.Of(directory.At("mdev_type")))
            : new KernelDeviceNode(id, group, cdev, null, driver, null);
    }
}
