namespace MigrationCluster.Devices.Sysfs;

/// <summary>What a host's tree says, in the order of the names in it.</summary>
public sealed record SysfsInventory(
    IReadOnlyList<PciFunction> Functions,
    IReadOnlyList<MdevType> Types,
    IReadOnlyList<MdevDevice> Devices,
    IReadOnlyList<SysfsFinding> Findings);
