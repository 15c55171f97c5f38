using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// What a device says of itself, or what a host could make of a template: all that a verdict is made of. Collected from the
/// devices themselves; what a source of descriptors cannot know is null or empty, never a guess.
/// </summary>
/// <param name="Kind">a device that exists, or what a host could create.</param>
/// <param name="Identity">PCI identity; null: no PCI device, or not known.</param>
/// <param name="ConfigCapabilities">ids in list order; 0x10000 is added to the extended ones, which come last.</param>
/// <param name="Driver">who implements it; null: not known.</param>
/// <param name="Model">device model name without a scheme, e.g. qemu.org/devices/e1000e or net; null: no model scheme.</param>
/// <param name="Parameters">configuration parameters; one that is absent has its off value.</param>
/// <param name="Lists">self and compatible attribute sets; null: the vendor does not use them.</param>
/// <param name="InterfaceVersion">x.y.z of the migration interface; null: the vendor does not use it.</param>
/// <param name="VersionString">the opaque version string; null: the device has none. Only the vendor's destination reads it.</param>
/// <param name="StreamFormatsWritten">stream formats this device writes, e.g. net/1.</param>
/// <param name="StreamFormatsRead">stream formats this device reads.</param>
/// <param name="SectionsWritten">state sections this device writes, those it may write included.</param>
/// <param name="SectionsRead">names of the state sections this device understands.</param>
/// <param name="Capabilities">migration capabilities; null: not known (nothing to probe yet).</param>
public sealed record DeviceDescriptor(
    DescriptorKind Kind,
    DeviceIdentity? Identity,
    IReadOnlyList<RegionDescriptor> Regions,
    IReadOnlyList<InterruptDescriptor> Interrupts,
    IReadOnlyList<int> ConfigCapabilities,
    DriverDescriptor? Driver,
    string? Model,
    IReadOnlyList<ParameterDescriptor> Parameters,
    CompatibilityLists? Lists,
    InterfaceVersion? InterfaceVersion,
    string? VersionString,
    IReadOnlyList<string> StreamFormatsWritten,
    IReadOnlyList<string> StreamFormatsRead,
    IReadOnlyList<SectionDescriptor> SectionsWritten,
    IReadOnlyList<string> SectionsRead,
    MigrationCapabilities? Capabilities)
{
    /// <summary>Nothing known; a start for <c>with</c>.</summary>
    public static DeviceDescriptor Empty(DescriptorKind kind) =>
        new(kind, null, [], [], [], null, null, [], null, null, null, [], [], [], [], null);
}

public enum DescriptorKind
{
    /// <summary>A device that exists: its parameters have the values they have.</summary>
    Device = 1,

    /// <summary>What a host could create: each parameter takes any value it supports, the source's if possible.</summary>
    Template = 2,
}

/// <summary>PCI ids as in config space.</summary>
public sealed record DeviceIdentity(ushort Vendor, ushort Device, ushort SubsystemVendor, ushort Subsystem);

/// <param name="Index">VFIO region index: 0-5 BAR, 6 ROM, 7 config space, 8 VGA.</param>
/// <param name="SizeBytes">never 0: an absent region is not listed.</param>
public sealed record RegionDescriptor(int Index, ulong SizeBytes, bool Readable, bool Writable, bool Mappable);

/// <param name="Index">VFIO interrupt index: 0 INTx, 1 MSI, 2 MSI-X, 3 ERR, 4 REQ.</param>
public sealed record InterruptDescriptor(int Index, int Count);

/// <param name="Version">as the driver names it; null: it has none. Shown, never compared.</param>
public sealed record DriverDescriptor(string Name, string? Version);

/// <summary>One part of a device's state stream.</summary>
/// <param name="Required">false: a destination that does not know it may drop it.</param>
/// <param name="Rare">true: written only in a case that is known at run time; declared here as possible.</param>
public sealed record SectionDescriptor(string Name, bool Required, bool Rare = false);

/// <summary>A vendor's lists of what a device is, and what it takes the state of (each an attribute set: all attributes agree).</summary>
/// <param name="Self">what this device is; usually one set.</param>
/// <param name="Compatible">sources this device takes the state of. A value may be a set: "none, ppgtt, context".</param>
public sealed record CompatibilityLists(
    IReadOnlyList<IReadOnlyDictionary<string, string>> Self, IReadOnlyList<IReadOnlyDictionary<string, string>> Compatible);
