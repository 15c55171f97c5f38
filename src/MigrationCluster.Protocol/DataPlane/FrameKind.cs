namespace MigrationCluster.Protocol.DataPlane;

/// <summary>What a frame is. Values below 16 travel from source to destination, the others back.</summary>
public enum FrameKind : byte
{
    /// <summary>first: page; count: pages. Payload: a CRC-32C a page, then the pages.</summary>
    Pages = 1,

    /// <summary>first: page; count: pages that hold only zeros, any number.</summary>
    ZeroRun = 2,

    /// <summary>first: stream offset; count: bytes. Payload: their CRC-32C, then the bytes.</summary>
    DeviceChunk = 3,

    /// <summary>first: stream offset. All initial bytes so far were sent; acknowledged when the device has loaded them. A device may
    /// have initial bytes again: then there is another one, further on in its stream.</summary>
    InitialBytesEnd = 4,

    /// <summary>first: length of the whole stream; count: its CRC-32C. Acknowledged when the device has accepted it.</summary>
    DeviceEnd = 5,

    /// <summary>count: bytes of the manifest. Payload: their CRC-32C, then the manifest.</summary>
    Manifest = 6,

    /// <summary>first: the first sequence acknowledged; count: frames.</summary>
    Ack = 16,

    /// <summary>The destination holds what the manifest says. count: bytes. Payload: CRC-32C, then the digest of the
    /// destination's own manifest. A destination that holds something else aborts.</summary>
    Verdict = 17,

    /// <summary>The destination gives up. first: a <see cref="TransferFailureReason"/>; count: bytes of text.
    /// Payload: CRC-32C, then UTF-8 text.</summary>
    Abort = 18,
}
