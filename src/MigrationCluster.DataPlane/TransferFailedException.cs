using MigrationCluster.Protocol.DataPlane;

namespace MigrationCluster.DataPlane;

/// <summary>A link of a transfer session ended before a manifest agreed. Every call of a failed link throws the first reason.</summary>
public sealed class TransferFailedException : IOException
{
    public TransferFailedException(TransferFailureReason reason, string message, Exception? innerException = null)
        : base(message, innerException) => Reason = reason;

    public TransferFailureReason Reason { get; }

    /// <summary>Nothing is wrong but the connection: another one may carry on.</summary>
    public bool MayResume => Reason is TransferFailureReason.ConnectionLost or TransferFailureReason.HandshakeTimedOut
        or TransferFailureReason.SessionUnknown or TransferFailureReason.Cancelled;

    /// <summary>Stable, e.g. <c>transfer.connection-lost</c>.</summary>
    public string Code => "transfer." + Reason switch
    {
        TransferFailureReason.ConnectionLost => "connection-lost",
        TransferFailureReason.PageCorrupt => "page-corrupt",
        TransferFailureReason.DeviceChunkCorrupt => "device-chunk-corrupt",
        TransferFailureReason.BadFrame => "bad-frame",
        TransferFailureReason.ManifestDisagrees => "manifest-disagrees",
        TransferFailureReason.DeviceSinkFailed => "device-sink-failed",
        TransferFailureReason.Cancelled => "cancelled",
        TransferFailureReason.HandshakeRefused => "handshake-refused",
        TransferFailureReason.HandshakeTimedOut => "handshake-timed-out",
        TransferFailureReason.SessionUnknown => "session-unknown",
        TransferFailureReason.SealBroken => "seal-broken",
        TransferFailureReason.RamDisagrees => "ram-disagrees",
        TransferFailureReason.DeviceStreamDisagrees => "device-stream-disagrees",
        _ => "defect",
    };
}
