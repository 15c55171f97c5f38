using System.Globalization;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// The common part of a mediated device's opaque version string, for display only: whether two strings are compatible is
/// the destination driver's to say.
/// </summary>
/// <param name="VendorId">the lower 16 bits; a PCI vendor id where the type is pci.</param>
/// <param name="DeviceType">the higher 16 bits: VFIO_DEVICE_FLAGS_*.</param>
/// <param name="VendorPart">what follows; the vendor's own.</param>
public sealed record VersionString(ushort VendorId, ushort DeviceType, string VendorPart)
{
    private const int CommonDigits = 8;

    /// <summary>The type's name, or its bits where it is none of the known ones.</summary>
    public string DeviceTypeName => DeviceType switch
    {
        1 << 1 => "pci",
        1 << 2 => "platform",
        1 << 3 => "amba",
        1 << 4 => "ccw",
        1 << 5 => "ap",
        1 << 6 => "fsl-mc",
        1 << 8 => "cdx",
        _ => $"0x{DeviceType:x4}",
    };

    /// <returns>null: it does not look like one, which says nothing about the device.</returns>
    public static VersionString? Decode(string text) =>
        text.Length > CommonDigits + 1
        && text[CommonDigits] == '-'
        && uint.TryParse(
            text.AsSpan(0, CommonDigits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out uint common)
            ? new VersionString((ushort)common, (ushort)(common >> 16), text[(CommonDigits + 1)..])
            : null;
}
