namespace MigrationCluster.Devices.Sysfs;

/// <summary>One PCI function as bus/pci/devices shows it. Null: the tree does not say; where it should, a finding says why it
/// could not be read.</summary>
/// <param name="Address">domain:bus:device.function, e.g. 0000:00:02.0.</param>
/// <param name="Class">24 bits: base class, subclass, programming interface.</param>
/// <param name="Driver">the bound driver's name; null: none is bound.</param>
/// <param name="DriverVersion">what the driver's module says; in-tree drivers mostly say nothing.</param>
/// <param name="Bars">regions 0 to 5 and the expansion ROM (6) that have a size.</param>
/// <param name="NumaNode">null: the system has no affinity for it (-1 in the tree).</param>
public sealed record PciFunction(
    string Address,
    ushort Vendor,
    ushort Device,
    ushort? SubsystemVendor,
    ushort? SubsystemDevice,
    uint? Class,
    byte? Revision,
    string? Driver,
    string? DriverVersion,
    PciConfigSpace? Config,
    IReadOnlyList<PciBar>? Bars,
    int? IommuGroup,
    int? NumaNode);
