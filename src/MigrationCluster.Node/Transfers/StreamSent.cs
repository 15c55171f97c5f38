namespace MigrationCluster.Node.Transfers;

/// <summary>What a device said, and the other side's device took in.</summary>
/// <param name="Bytes">in this call.</param>
/// <param name="Sending">until the last of them had left.</param>
/// <param name="Loading">from then on until the other side's device had accepted all of them.</param>
public readonly record struct StreamSent(long Bytes, TimeSpan Sending, TimeSpan Loading);
