namespace MigrationCluster.Devices.Sysfs;

/// <summary>A mediated device that exists on this host.</summary>
/// <param name="Parent">null: found on the mdev bus only, and its link does not show under what it lives.</param>
/// <param name="Type">the type's id, e.g. i915-GVTg_V5_4.</param>
/// <param name="Path">of the device's directory.</param>
public sealed record MdevDevice(
    Guid Uuid,
    string? Parent,
    string Type,
    string? DeviceApi,
    int? IommuGroup,
    VersionReading Version,
    string Path);
