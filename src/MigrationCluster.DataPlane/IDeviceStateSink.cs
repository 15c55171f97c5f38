namespace MigrationCluster.DataPlane;

/// <summary>
/// Where a session's device state ends up on the destination. Calls for one device come one after the other, in stream
/// order; calls for different devices run side by side. What a call accepted is acknowledged to the source; an exception
/// ends the session.
/// </summary>
public interface IDeviceStateSink
{
    /// <summary>Bytes that passed their integrity check.</summary>
    /// <param name="data">valid until the call ends.</param>
    ValueTask WriteAsync(int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken);

    /// <summary>All initial bytes were written; returning acknowledges to the source that the device has loaded them. Comes again when
    /// the source's device has initial bytes again.</summary>
    ValueTask EndInitialBytesAsync(int device, CancellationToken cancellationToken);

    /// <summary>The stream is complete, and its digest is the source's.</summary>
    /// <param name="bytes">length of the whole stream.</param>
    /// <param name="crc32C">CRC-32C over all of it.</param>
    ValueTask EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken);
}
