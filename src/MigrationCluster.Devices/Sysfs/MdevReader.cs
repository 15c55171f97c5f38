namespace MigrationCluster.Devices.Sysfs;

/// <summary>
/// Reads mediated devices: their parents are listed in class/mdev_bus and, when they are PCI functions, seen under
/// bus/pci/devices; their devices lie under the parent, and bus/mdev/devices lists them all once more.
/// </summary>
internal static class MdevReader
{
    private const string Parents = "class/mdev_bus";
    private const string Bus = "bus/mdev/devices";
    private const string SupportedTypes = "mdev_supported_types";
    private const string TypeLink = "mdev_type";

    internal static (IReadOnlyList<MdevType> Types, IReadOnlyList<MdevDevice> Devices) Read(SysfsDirectory root)
    {
        var types = new List<MdevType>();
        var devices = new List<MdevDevice>();
        foreach (var (name, parent) in FindParents(root))
        {
            var supported = parent.At(SupportedTypes);
            foreach (string type in supported.Entries()) types.Add(ReadType(supported.At(type), name, type));
            foreach (string entry in parent.Entries())
                if (TryUuid(entry, out var uuid) && ReadDevice(parent.At(entry), uuid, name) is { } device)
                    devices.Add(device);
        }
        AddFromBus(root.At(Bus), devices);
        return (types, devices);
    }

    private static SortedDictionary<string, SysfsDirectory> FindParents(SysfsDirectory root)
    {
        var parents = new SortedDictionary<string, SysfsDirectory>(StringComparer.Ordinal);
        foreach (string where in new[] { PciReader.Devices, Parents })
        {
            var directory = root.At(where);
            if (!directory.Exists) continue;
            foreach (string name in directory.Entries())
            {
                var parent = directory.At(name);
                if (parent.At(SupportedTypes).Exists) parents.TryAdd(name, parent);
                else if (where == Parents) directory.Report(name, $"is a parent of mediated devices without {SupportedTypes}");
            }
        }
        return parents;
    }

    private static MdevType ReadType(SysfsDirectory directory, string parent, string name) => new(
        parent, name,
        directory.Text("name", required: false),
        directory.Text("description", required: false),
        directory.Text("device_api"),
        directory.Decimal("available_instances", required: true),
        VersionAttribute.Of(directory).Read(),
        directory.Path);

    private static MdevDevice? ReadDevice(SysfsDirectory directory, Guid uuid, string? parent)
    {
        if (directory.LinkedName(TypeLink, required: true) is not { } type) return null;
        var typeDirectory = directory.At(TypeLink);
        int? group = PciReader.ReadIommuGroup(directory);
        return new MdevDevice(
            uuid, parent, type, typeDirectory.Text("device_api"), group,
            VersionAttribute.Of(typeDirectory).Read(), directory.Path);
    }

    private static void AddFromBus(SysfsDirectory bus, List<MdevDevice> devices)
    {
        if (!bus.Exists) return;
        foreach (string entry in bus.Entries())
        {
            if (!TryUuid(entry, out var uuid)) bus.Report(entry, "is no UUID");
            else if (!devices.Exists(device => device.Uuid == uuid)
                && ReadDevice(bus.At(entry), uuid, ParentOf(bus, entry)) is { } device) devices.Add(device);
        }
    }

    // …/devices/pci0000:00/0000:00:02.0/<uuid>
    private static string? ParentOf(SysfsDirectory bus, string entry) =>
        bus.LinkTarget(entry, required: true)?.Split('/') is [.., var parent, var name] && name == entry && parent != ".."
            ? parent
            : null;

    private static bool TryUuid(string name, out Guid uuid) => Guid.TryParseExact(name, "D", out uuid);
}
