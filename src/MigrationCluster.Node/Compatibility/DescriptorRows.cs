using System.Globalization;
using MigrationCluster.Api;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Node.Compatibility;

/// <summary>A device and what a host could make, side by side. Shown, never judged: that is the handlers' business.</summary>
public static class DescriptorRows
{
    private const string Nothing = "-";

    /// <param name="offer">null: the host cannot make the class.</param>
    public static IReadOnlyList<CompatRowView> Of(DeviceDescriptor device, DeviceDescriptor? offer) =>
    [
        .. Facts.Select(fact => new CompatRowView(fact.What, fact.Show(device), offer is null ? Nothing : fact.Show(offer)))
            .Where(row => row.Source != Nothing || row.Destination != Nothing),
        .. device.Parameters.Concat(offer?.Parameters ?? []).Select(parameter => parameter.Name).Distinct().Order(StringComparer.Ordinal)
            .Select(name => new CompatRowView($"parameter {name}", Value(Find(device, name)), Choice(Find(offer, name)))),
    ];

    private static IReadOnlyList<(string What, Func<DeviceDescriptor, string> Show)> Facts { get; } =
    [
        ("model", descriptor => descriptor.Model ?? Nothing),
        ("driver", descriptor => descriptor.Driver is { } driver ? $"{driver.Name} {driver.Version}".TrimEnd() : Nothing),
        ("pci", descriptor => descriptor.Identity is { } pci
            ? string.Create(CultureInfo.InvariantCulture, $"{pci.Vendor:x4}:{pci.Device:x4} of {pci.SubsystemVendor:x4}:{pci.Subsystem:x4}")
            : Nothing),
        ("interface version", descriptor => descriptor.InterfaceVersion?.ToString() ?? Nothing),
        ("version string", descriptor => descriptor.VersionString ?? Nothing),
        ("capabilities", descriptor => descriptor.Capabilities?.ToString() ?? Nothing),
        ("regions", descriptor => Joined(descriptor.Regions.Select(region => $"{region.Index}:{region.SizeBytes}"))),
        ("interrupts", descriptor => Joined(descriptor.Interrupts.Select(interrupt => $"{interrupt.Index}:{interrupt.Count}"))),
        ("writes", descriptor => Joined(descriptor.StreamFormatsWritten)),
        ("reads", descriptor => Joined(descriptor.StreamFormatsRead)),
        ("sections written", descriptor => Joined(descriptor.SectionsWritten.Select(section =>
            $"{section.Name}{(section.Required ? "" : "?")}{(section.Rare ? "*" : "")}"))),
        ("sections read", descriptor => Joined(descriptor.SectionsRead)),
    ];

    private static ParameterDescriptor? Find(DeviceDescriptor? descriptor, string name) =>
        descriptor?.Parameters.FirstOrDefault(parameter => parameter.Name == name);

    private static string Value(ParameterDescriptor? parameter) =>
        parameter is null ? "off (absent)" : parameter.Value == parameter.Off ? $"{parameter.Value} (off)" : parameter.Value;

    private static string Choice(ParameterDescriptor? parameter) => parameter switch
    {
        null => "unknown",
        { Supported: { Values: { } values } } => Joined(values),
        { Supported: { Minimum: { } least, Maximum: { } most } } => string.Create(CultureInfo.InvariantCulture, $"{least}..{most}"),
        _ => parameter.Value,
    };

    private static string Joined(IEnumerable<string> parts) => string.Join(' ', parts) is { Length: > 0 } joined ? joined : Nothing;
}
