namespace MigrationCluster.Protocol.Migration;

/// <summary>What the source measured in its blackout, beside the times of its events.</summary>
/// <param name="BitmapMs">of reading the last dirty logs.</param>
/// <param name="PageBytes">of the final pages.</param>
/// <param name="ColdBytes">of those, what the destination had never written.</param>
/// <param name="DevicesSentAt">when the last byte of the last device's final state had left.</param>
public sealed record BlackoutTimings(
    double BitmapMs, long PageBytes, long ColdBytes, DateTimeOffset DevicesSentAt, IReadOnlyList<DeviceTimings> Devices);

/// <summary>One device in a blackout.</summary>
/// <param name="QuiesceMs">null: it was not asked to be quiet, or in an earlier life of the daemon.</param>
/// <param name="StopMs">null: in an earlier life of the daemon.</param>
/// <param name="FinalMs">until the last byte of its final state had left.</param>
/// <param name="LoadMs">from then on until the destination's device had accepted all of it.</param>
public sealed record DeviceTimings(string Device, double? QuiesceMs, double? StopMs, long FinalBytes, double FinalMs, double LoadMs);
