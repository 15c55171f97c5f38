namespace MigrationCluster.Protocol.Guests;

/// <summary>What one source device says of itself at save_setup, before any source device leaves Running.</summary>
/// <param name="Model">device model name, e.g. net.</param>
/// <param name="Shape">region sizes by index, as "index:size" in ascending order.</param>
/// <param name="Capabilities">migration capabilities (uAPI bits).</param>
/// <param name="Parameters">configuration parameters by the model's names.</param>
/// <param name="VersionString">the device's own opaque version string; null: the device has none.</param>
/// <param name="StreamFormatsWritten">stream formats this device writes, e.g. net/1.</param>
/// <param name="StreamFormatsRead">stream formats this device reads.</param>
public sealed record SetupRecord(
    string Device,
    string Model,
    IReadOnlyList<string> Shape,
    ulong Capabilities,
    IReadOnlyDictionary<string, string> Parameters,
    string? VersionString,
    IReadOnlyList<string> StreamFormatsWritten,
    IReadOnlyList<string> StreamFormatsRead);

/// <summary>One reason why a destination device does not take a source device's setup record.</summary>
/// <param name="Code">stable, e.g. device.parameter-mismatch.</param>
public sealed record SetupMismatch(string Code, string Expected, string Actual, string Remedy);
