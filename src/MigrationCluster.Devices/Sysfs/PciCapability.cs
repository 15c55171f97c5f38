namespace MigrationCluster.Devices.Sysfs;

/// <summary>One capability of a function's configuration space.</summary>
public sealed record PciCapability(int Id, int Offset);
