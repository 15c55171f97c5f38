using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Devices.Sysfs;

namespace MigrationCluster.Node.Hosting;

/// <summary><c>mc-node inventory</c>: what of this host a guest could be given, from sysfs. Opens no device: a guest may have it.</summary>
public static class InventoryCommand
{
    private const string Json = "json";
    private const string Text = "text";

    /// <summary>Drivers that bring migration to vfio-pci, by the kernel's names.</summary>
    private static readonly string[] VariantDrivers =
        ["mlx5_vfio_pci", "hisi-acc-vfio-pci", "hisi_acc_vfio_pci", "pds_vfio_pci", "pds-vfio-pci", "qat_vfio_pci", "virtio-vfio-pci", "virtio_vfio_pci", "xe-vfio-pci", "xe_vfio_pci"];

    public static Command Create()
    {
        var sysfs = new Option<string>("--sysfs") { Description = "root of the tree to read", HelpName = "DIR", DefaultValueFactory = _ => "/sys" };
        var output = new Option<string>("--output") { Description = "text or json", HelpName = "FORM", DefaultValueFactory = _ => Text };
        output.AcceptOnlyFromAmong(Text, Json);
        var command = new Command("inventory", "Lists what of this host a guest could be given: PCI functions of VFIO drivers, mediated types and devices, IOMMU groups.")
        {
            sysfs, output,
        };
        command.SetAction(parsed =>
        {
            var view = Of(new SysfsTree(parsed.GetRequiredValue(sysfs)).Read());
            Console.Out.Write(parsed.GetValue(output) == Json
                ? JsonSerializer.Serialize(view, NodeJson.Indented.Of<InventoryView>()) + "\n"
                : Write(view));
            return 0;
        });
        return command;
    }

    public static InventoryView Of(SysfsInventory inventory)
    {
        var functions = inventory.Functions.Where(function => IsVfio(function.Driver)).Select(function => new InventoryFunction(
            function.Address, string.Create(CultureInfo.InvariantCulture, $"{function.Vendor:x4}:{function.Device:x4}"), function.Driver!,
            VariantDrivers.Contains(function.Driver), function.IommuGroup)).ToList();
        var groups = inventory.Functions.Where(function => function.IommuGroup is not null).Select(function => (Group: function.IommuGroup!.Value, Name: function.Address))
            .Concat(inventory.Devices.Where(device => device.IommuGroup is not null).Select(device => (Group: device.IommuGroup!.Value, Name: device.Uuid.ToString())))
            .GroupBy(member => member.Group, member => member.Name).OrderBy(group => group.Key)
            .Select(group => new InventoryGroup(group.Key, [.. group])).ToList();
        return new InventoryView(
            functions,
            [.. inventory.Types.Select(type => new InventoryType(type.Parent, type.Name, type.Label, type.DeviceApi, type.AvailableInstances))],
            [.. inventory.Devices.Select(device => new InventoryDevice(device.Uuid, device.Type, device.Parent, device.IommuGroup))],
            groups, [.. inventory.Findings.Select(finding => finding.ToString())]);
    }

    /// <summary>By the kernel's convention of names; every one of them is vfio-pci or made on top of it.</summary>
    private static bool IsVfio(string? driver) => driver is not null && driver.Contains("vfio", StringComparison.Ordinal);

    private static string Write(InventoryView view)
    {
        var lines = new List<string>();
        foreach (var f in view.Functions)
            lines.Add($"function {f.Address} {f.Ids} {f.Driver} {(f.VariantDriver ? "has a migration driver" : "plain vfio-pci, does not migrate")}, group {f.IommuGroup?.ToString(CultureInfo.InvariantCulture) ?? "none"}");
        foreach (var t in view.MediatedTypes)
            lines.Add($"type {t.Name} of {t.Parent} ({t.Label ?? "no label"}, {t.DeviceApi ?? "no api"}): {t.AvailableInstances?.ToString(CultureInfo.InvariantCulture) ?? "unknown"} more");
        foreach (var d in view.MediatedDevices)
            lines.Add($"device {d.Uuid} {d.Type} of {d.Parent ?? "unknown"}, group {d.IommuGroup?.ToString(CultureInfo.InvariantCulture) ?? "none"}");
        foreach (var g in view.IommuGroups) lines.Add($"group {g.Number}: {string.Join(' ', g.Members)}");
        foreach (string finding in view.Findings) lines.Add($"finding {finding}");
        return lines.Count == 0 ? "nothing a guest could be given\n" : string.Join('\n', lines) + "\n";
    }
}

/// <summary>What <c>mc-node inventory --output json</c> prints.</summary>
/// <param name="Findings">what could not be read, and why.</param>
public sealed record InventoryView(
    IReadOnlyList<InventoryFunction> Functions, IReadOnlyList<InventoryType> MediatedTypes, IReadOnlyList<InventoryDevice> MediatedDevices,
    IReadOnlyList<InventoryGroup> IommuGroups, IReadOnlyList<string> Findings);

/// <param name="VariantDriver">whether its driver brings migration; what the device can do shows `mc-guest device --vfio ADDRESS --probe`.</param>
public sealed record InventoryFunction(string Address, string Ids, string Driver, bool VariantDriver, int? IommuGroup);

public sealed record InventoryType(string Parent, string Name, string? Label, string? DeviceApi, int? AvailableInstances);

public sealed record InventoryDevice(Guid Uuid, string Type, string? Parent, int? IommuGroup);

public sealed record InventoryGroup(int Number, IReadOnlyList<string> Members);
