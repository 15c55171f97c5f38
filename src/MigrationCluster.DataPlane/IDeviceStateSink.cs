using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane;

/// <summary>
/// Where a session's device state ends up on the destination. Calls for one device come one after the other, in stream
/// order; calls for different devices run side by side. What a call accepted is acknowledged to the source; an exception
/// ends the session.
/// </summary>
public interface IDeviceStateSink
{
    /// <summary>How much of a device's stream the device has accepted, and its CRC-32C: asked when the source connects, for it goes on from
    /// there. Bytes of an earlier connection may still be on their way to the device; they come again and are the same.</summary>
    ValueTask<DeviceStream> GetAcceptedAsync(int device, CancellationToken cancellationToken);

    /// <summary>Memory in which a device's chunks wait until they are handed on, for a sink whose way to the device passes through shared
    /// memory. Asked for once a device and connection.</summary>
    Memory<byte> NewBuffer(int sizeBytes) => GC.AllocateUninitializedArray<byte>(sizeBytes);

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
