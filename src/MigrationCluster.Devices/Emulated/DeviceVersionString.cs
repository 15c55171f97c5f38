using System.Globalization;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The opaque version string of our emulated devices, which nobody but they read:
///
/// <code>
///   00021d55-net/1:queues=4,rx-filter-size=32:setup,registers,rx-filter
///   |        |     |                         state sections it always writes and that must be loaded
///   |        |     parameters that are not off
///   |        stream format
///   device type (VFIO_DEVICE_FLAGS_PCI = 2) &lt;&lt; 16 | vendor id, as 8 hex digits
/// </code>
/// </summary>
internal sealed class DeviceVersionString(DeviceModel model, ModelParameters parameters)
{
    /// <summary>Longer than any of ours; a sysfs attribute has a page, too.</summary>
    public const int MaxLength = 4095;

    private const uint PciDevice = 2;

    private static readonly string Common = (PciDevice << 16 | DeviceConfigSpace.Vendor).ToString("x8", CultureInfo.InvariantCulture);

    public string Text { get; } = string.Join(':', [
        $"{Common}-{model.StreamFormat}",
        string.Join(',', model.Parameters.Where(p => parameters[p.Name] != p.Default)
            .Select(p => string.Create(CultureInfo.InvariantCulture, $"{p.Name}={parameters[p.Name]}"))),
        string.Join(',', model.SectionsWritten(parameters).Where(s => s is { Required: true, Rare: false }).Select(s => s.Name)),
    ]);

    /// <summary>Whether a device of this model and these parameters takes the state of one with that version string.</summary>
    /// <returns>what is in the way, null: nothing. Never throws.</returns>
    public string? Refusal(string source)
    {
        if (source.Length > MaxLength || source.Split(':') is not [var format, var values, var sections])
            return "it is no version string of ours";
        if (format != $"{Common}-{model.StreamFormat}") return $"it is of '{format}', this one reads '{Common}-{model.StreamFormat}'";
        return ParameterRefusal(values) ?? SectionRefusal(sections);
    }

    private string? ParameterRefusal(string values)
    {
        var given = new Dictionary<string, ulong>();
        foreach (string pair in values.Split(',', StringSplitOptions.RemoveEmptyEntries))
            if (pair.Split('=') is not [var name, var text]
                || !ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong value) || !given.TryAdd(name, value))
                return $"'{pair}' in it is no parameter";
        foreach (var parameter in model.Parameters.Where(p => p.Since <= parameters.Driver))
        {
            ulong source = given.Remove(parameter.Name, out ulong value) ? value : parameter.Default;
            ulong own = parameters[parameter.Name];
            bool takes = parameter.Comparator == ParameterComparator.AtLeast ? own >= source : own == source;
            if (!takes) return $"{parameter.Name} is {source} there and {own} here";
        }
        return given.Count == 0 ? null : $"{string.Join(", ", given.Keys.Order(StringComparer.Ordinal))} is unknown here";
    }

    private string? SectionRefusal(string sections)
    {
        var known = model.SectionsRead(parameters.Driver).Select(section => section.Name).ToHashSet();
        string? unknown = sections.Split(',', StringSplitOptions.RemoveEmptyEntries).FirstOrDefault(name => !known.Contains(name));
        return unknown is null ? null : $"section {unknown} is required and unknown here";
    }
}
