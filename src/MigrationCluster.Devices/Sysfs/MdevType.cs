namespace MigrationCluster.Devices.Sysfs;

/// <summary>A kind of mediated device that a parent on this host could create: mdev_supported_types/&lt;type&gt;.</summary>
/// <param name="Parent">name of the device it is created from: a PCI address, or e.g. mtty.</param>
/// <param name="Name">the type's id, e.g. i915-GVTg_V5_4.</param>
/// <param name="Label">the file name: what a person would call it.</param>
/// <param name="DeviceApi">e.g. vfio-pci.</param>
/// <param name="AvailableInstances">how many more could be created now.</param>
/// <param name="Version">what a device of this type would say.</param>
/// <param name="Path">of the type's directory.</param>
public sealed record MdevType(
    string Parent,
    string Name,
    string? Label,
    string? Description,
    string? DeviceApi,
    int? AvailableInstances,
    VersionReading Version,
    string Path);
