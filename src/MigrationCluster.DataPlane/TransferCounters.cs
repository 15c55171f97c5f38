namespace MigrationCluster.DataPlane;

/// <summary>What was moved so far between the two guest processes, seen from one side: over all links, and all lives of the daemon.</summary>
/// <param name="PageBytes">pages' bytes on the wire.</param>
/// <param name="ZeroBytes">guest RAM told of as zero runs; not on the wire.</param>
/// <param name="DeviceBytes">device state on the wire.</param>
/// <param name="ProtocolBytes">headers, checks and acknowledgements, both ways.</param>
/// <param name="AckedBytes">page and device bytes that the destination has acknowledged.</param>
/// <param name="ResentBytes">page and device bytes that were under way when connections were lost, and so are owed again.</param>
/// <param name="BytesPerSecond">acknowledged bytes over about the last second.</param>
public readonly record struct TransferCounters(
    long PageBytes, long ZeroBytes, long DeviceBytes, long ProtocolBytes, long AckedBytes, long ResentBytes,
    double BytesPerSecond);
