namespace MigrationCluster.Devices.Sysfs;

/// <summary>A host's sysfs: the PCI functions, and the mediated devices it has or could create.</summary>
/// <param name="root">/sys, or a tree of the same form.</param>
public sealed class SysfsTree(string root = "/sys")
{
    /// <summary>Reads everything anew. A tree of any form is answered; what is wrong in it is among the findings.</summary>
    public SysfsInventory Read()
    {
        var findings = new List<SysfsFinding>();
        var directory = new SysfsDirectory(root, findings);
        if (!directory.Exists)
        {
            findings.Add(new SysfsFinding(root, "there is no such directory: is sysfs mounted, is the path right?"));
            return new SysfsInventory([], [], [], findings);
        }
        var functions = PciReader.Read(directory);
        var (types, devices) = MdevReader.Read(directory);
        return new SysfsInventory(functions, types, devices, findings);
    }
}
