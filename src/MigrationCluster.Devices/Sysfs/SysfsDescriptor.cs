using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>What a host's tree says of one device that it has, or of one kind of device that it could create.</summary>
/// <param name="Class">the mediated type's id, e.g. i915-GVTg_V5_4; of a function its ids, e.g. 8086:193b.</param>
/// <param name="Name">the UUID, the PCI address, or for a type parent/type.</param>
/// <param name="Version">the scheme's own answer of a mediated device; null: a PCI function, which has no such scheme.</param>
/// <param name="Attribute">where a source's version is put to it; null as above.</param>
public sealed record SysfsDescriptor(
    string Class, string Name, DeviceDescriptor Descriptor, VersionReading? Version, VersionAttribute? Attribute);
