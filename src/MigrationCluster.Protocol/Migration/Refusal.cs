using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Protocol.Migration;

/// <summary>One reason why a guest does not move, or did not.</summary>
/// <param name="Code">stable, e.g. device.parameter-mismatch.</param>
/// <param name="Device">the device it is about; null: the guest or a host.</param>
/// <param name="Expected">what the source has; null where there is nothing to compare.</param>
/// <param name="Side">where the remedy has to be applied; null: either.</param>
public sealed record Refusal(
    string Code, string Message, string Remedy,
    string? Device = null, string? Expected = null, string? Actual = null, CompatibilitySide? Side = null)
{
    /// <summary>A reason of a device's verdict as it is told to operators.</summary>
    public static Refusal Of(string device, CompatibilityReason reason) => new(
        reason.Code, $"{device}: the source has {reason.Expected}, the destination {reason.Actual}", reason.Remedy,
        device, reason.Expected, reason.Actual, reason.Side);
}

/// <summary>Optional state sections of one device that the destination does not know and drops.</summary>
public sealed record DroppedSections(string Device, IReadOnlyList<string> Sections);
