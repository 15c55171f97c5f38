namespace MigrationCluster.Devices.Sysfs;

public enum PciBarKind
{
    Memory,
    Io,
}
