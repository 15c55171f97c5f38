using System.Globalization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>
/// Descriptors of what the tree shows: functions and mediated devices are devices, a mediated type is a template. The tree
/// does not know parameters and stream formats, and of mediated devices no shape: the device says them itself once it is
/// open. Of migration capabilities it knows one thing: a mediated device that has no version has none.
/// </summary>
public static class SysfsDescriptors
{
    private const int RomIndex = 6;
    private const int ConfigIndex = 7;
    private const ulong PageBytes = 4096;

    public static IReadOnlyList<SysfsDescriptor> Of(SysfsInventory inventory) =>
    [
        .. inventory.Functions.Select(Of),
        .. inventory.Devices.Select(device => new SysfsDescriptor(
            device.Type, device.Uuid.ToString(),
            Mediated(DescriptorKind.Device, inventory, device.Parent, device.Version),
            device.Version, VersionAttribute.Of(device))),
        .. inventory.Types.Select(type => new SysfsDescriptor(
            type.Name, $"{type.Parent}/{type.Name}",
            Mediated(DescriptorKind.Template, inventory, type.Parent, type.Version),
            type.Version, VersionAttribute.Of(type))),
    ];

    private static SysfsDescriptor Of(PciFunction function)
    {
        var descriptor = DeviceDescriptor.Empty(DescriptorKind.Device) with
        {
            Identity = function is { SubsystemVendor: { } subsystemVendor, SubsystemDevice: { } subsystem }
                ? new DeviceIdentity(function.Vendor, function.Device, subsystemVendor, subsystem)
                : null,
            Driver = DriverOf(function),
        };
        // Without privilege the tree shows a header only, which says nothing of capabilities; and half a shape is another shape.
        if (function is { Bars: { } bars, Config: { SizeBytes: >= PciConfigSpace.StandardBytes } config })
            descriptor = descriptor with
            {
                Regions = [.. RegionsOf(bars, config)],
                Interrupts = [.. InterruptsOf(config)],
                ConfigCapabilities = config.CapabilityIds,
            };
        return new SysfsDescriptor(
            string.Create(CultureInfo.InvariantCulture, $"{function.Vendor:x4}:{function.Device:x4}"), function.Address,
            descriptor, null, null);
    }

    private static DeviceDescriptor Mediated(
        DescriptorKind kind, SysfsInventory inventory, string? parent, VersionReading version) =>
        DeviceDescriptor.Empty(kind) with
        {
            Driver = inventory.Functions.FirstOrDefault(function => function.Address == parent) is { } function
                ? DriverOf(function)
                : null,
            VersionString = (version as VersionReading.Known)?.Text,
            Capabilities = version is VersionReading.NotMigratable ? MigrationCapabilities.None : null,
        };

    private static DriverDescriptor? DriverOf(PciFunction function) =>
        function.Driver is { } driver ? new DriverDescriptor(driver, function.DriverVersion) : null;

    /// <summary>As vfio-pci shows them: memory of a page or more can be mapped, the ROM is only read.</summary>
    private static IEnumerable<RegionDescriptor> RegionsOf(IReadOnlyList<PciBar> bars, PciConfigSpace config)
    {
        foreach (var bar in bars)
            yield return new RegionDescriptor(
                bar.Index, bar.SizeBytes, Readable: true, Writable: bar.Index != RomIndex,
                Mappable: bar.Index != RomIndex && bar.Kind == PciBarKind.Memory && bar.SizeBytes >= PageBytes);
        yield return new RegionDescriptor(ConfigIndex, (ulong)config.SizeBytes, true, true, false);
    }

    /// <summary>As vfio-pci counts them: INTx, MSI, MSI-X, errors of PCI Express, and requests to give the device back.</summary>
    private static IEnumerable<InterruptDescriptor> InterruptsOf(PciConfigSpace config)
    {
        int[] counts =
            [config.HasInterruptPin ? 1 : 0, config.MsiVectors, config.MsiXVectors, config.IsPciExpress ? 1 : 0, 1];
        for (int index = 0; index < counts.Length; index++)
            if (counts[index] > 0) yield return new InterruptDescriptor(index, counts[index]);
    }
}
