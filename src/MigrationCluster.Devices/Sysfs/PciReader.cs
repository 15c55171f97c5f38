using System.Text.RegularExpressions;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>Reads the functions under bus/pci/devices.</summary>
internal static partial class PciReader
{
    internal const string Devices = "bus/pci/devices";

    internal static IReadOnlyList<PciFunction> Read(SysfsDirectory root)
    {
        var devices = root.At(Devices);
        var functions = new List<PciFunction>();
        // A host without PCI is no strange host.
        if (!devices.Exists) return functions;
        foreach (string name in devices.Entries())
        {
            if (!Address().IsMatch(name)) devices.Report(name, "is no PCI address");
            else if (ReadFunction(devices.At(name), name) is { } function) functions.Add(function);
        }
        return functions;
    }

    /// <returns>null: what it is cannot be told, and a finding says why.</returns>
    private static PciFunction? ReadFunction(SysfsDirectory directory, string address)
    {
        uint? vendor = directory.Hexadecimal("vendor", ushort.MaxValue);
        uint? device = directory.Hexadecimal("device", ushort.MaxValue);
        if (vendor is null || device is null) return null;
        string? driver = directory.LinkedName("driver", required: false);
        return new PciFunction(
            address, (ushort)vendor, (ushort)device,
            (ushort?)directory.Hexadecimal("subsystem_vendor", ushort.MaxValue),
            (ushort?)directory.Hexadecimal("subsystem_device", ushort.MaxValue),
            directory.Hexadecimal("class", 0xffffff),
            (byte?)directory.Hexadecimal("revision", byte.MaxValue),
            driver,
            driver is null ? null : directory.Text("driver/module/version", required: false),
            ReadConfig(directory),
            ReadBars(directory),
            ReadIommuGroup(directory),
            directory.Decimal("numa_node", required: false) is >= 0 and var node ? node : null);
    }

    private static PciConfigSpace? ReadConfig(SysfsDirectory directory)
    {
        if (directory.Bytes("config", PciConfigSpace.MaxBytes) is not { } content) return null;
        var config = PciConfigSpace.Parse(content, out string? problem);
        if (problem is not null)
            directory.Report("config", content.Length == PciConfigSpace.HeaderBytes
                ? $"{problem}: only root may read more than the header"
                : problem);
        return config;
    }

    /// <returns>null: not all of it can be read.</returns>
    private static List<PciBar>? ReadBars(SysfsDirectory directory)
    {
        if (directory.Text("resource") is not { } resource) return null;
        var bars = new List<PciBar>();
        string[] lines = resource.Split('\n');
        for (int index = 0; index < lines.Length && index <= PciBar.MaxIndex; index++)
        {
            if (!PciBar.TryParse(index, lines[index], out var bar))
            {
                directory.Report("resource", $"line {index} is '{SysfsDirectory.Shortened(lines[index])}', which is no region");
                return null;
            }
            if (bar is not null) bars.Add(bar);
        }
        return bars;
    }

    internal static int? ReadIommuGroup(SysfsDirectory directory)
    {
        if (directory.LinkedName("iommu_group", required: false) is not { } name) return null;
        if (int.TryParse(name, out int group) && group >= 0) return group;
        directory.Report("iommu_group", $"points to '{SysfsDirectory.Shortened(name)}', which is no group number");
        return null;
    }

    [GeneratedRegex(@"^[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]\z")]
    internal static partial Regex Address();
}
