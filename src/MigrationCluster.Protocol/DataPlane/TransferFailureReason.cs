namespace MigrationCluster.Protocol.DataPlane;

/// <summary>Why a transfer session ended without its manifest agreed. Values travel in abort frames.</summary>
public enum TransferFailureReason : byte
{
    /// <summary>A connection ended, or was cut, or the peer closed it without a reason.</summary>
    ConnectionLost = 1,

    /// <summary>A page did not match its CRC-32C; it was not written.</summary>
    PageCorrupt = 2,

    /// <summary>A device chunk did not match its CRC-32C; the device never saw it.</summary>
    DeviceChunkCorrupt = 3,

    /// <summary>A frame that the protocol does not allow here.</summary>
    BadFrame = 4,

    /// <summary>Both sides are complete, and differ.</summary>
    ManifestDisagrees = 5,

    /// <summary>The destination's device refused bytes or failed.</summary>
    DeviceSinkFailed = 6,

    /// <summary>This side's caller cancelled in the middle of a frame, or closed the session.</summary>
    Cancelled = 7,

    /// <summary>The destination's data port refused the connection.</summary>
    HandshakeRefused = 8,

    /// <summary>No answer to the handshake in time.</summary>
    HandshakeTimedOut = 9,

    /// <summary>The CRC-32C or length over a device's whole stream differs from what the source read.</summary>
    DeviceStreamDisagrees = 10,

    /// <summary>A defect in this program; the message names the exception.</summary>
    Defect = 11,

    /// <summary>The destination's data port knows no such session: it is closed, or not open again yet.</summary>
    SessionUnknown = 12,

    /// <summary>A sealed record did not open: changed, left out, repeated or moved on the way, or sealed with another secret. Nothing of
    /// it was used.</summary>
    SealBroken = 13,

    /// <summary>Every page arrived as it was sent, and yet the destination's RAM does not hold what the source's does.</summary>
    RamDisagrees = 14,
}
