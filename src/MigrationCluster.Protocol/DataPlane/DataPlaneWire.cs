using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>
/// The data plane's wire, version <see cref="Version"/>. All integers are little-endian.
/// </summary>
/// <remarks><code>
///   connection = hello, welcome, then frames in both directions
///
///   source                                        destination
///     | -- hello (token, channel 0 of n, shape) ----> |     opens a link, and closes the one before
///     | &lt;- welcome, incarnation, link, standing ----- |     every device's stream goes on where it was accepted
///     | -- hello (…, channel k, link) --------------> |     n connections make a link
///     | &lt;---------------------- welcome (status) ---- |
///     |                                               |
///     | == channel 0: device chunks, stream ends ===> |     small and urgent: never behind bulk pages
///     | == channel 1..n-1: pages, zero runs ========> |     range of 2 MiB r travels on channel 1 + r mod (n-1), a long hole whole
///     | &lt;== every channel: acknowledgements ========= |     (sequence, count), at most 16 MiB apart
///     |                                               |
///     | -- manifest, channel 0, all else acked -----> |
///     | &lt;------------------------- verdict ---------- |     both close
/// </code>
/// A page's data always travels on the same channel, and a channel keeps its order, so a page's last version arrives last; while the zeros
/// of a long hole are under way nothing else of its pages is. A channel's frames are numbered from 1 without gaps in each direction.
/// A lost connection ends its link. The source opens another one: what was acknowledged stays acknowledged, in the scope of the
/// destination's incarnation; what was under way is owed again. Frames of an earlier link are never read once a later one is open.
/// In sealed mode each side first sends a <see cref="Sealing.SealedPreface"/>, and all of the above, hello and welcome too, travels in
/// <see cref="Sealing.SealedRecord"/>s; a record holds whole frames.
/// Every frame begins with a header that carries its own CRC-32C; what a header says is validated against the session's
/// shape before a byte of its payload is read, so nothing is ever allocated by a length from the wire.
/// </remarks>
public static class DataPlaneWire
{
    public const ushort Version = 5;

    /// <summary>Pages in one pages frame: 512 KiB of payload.</summary>
    public const int MaxPagesPerFrame = 128;

    /// <summary>Bytes in one device chunk.</summary>
    public const int MaxDeviceChunkBytes = 256 * 1024;

    public const int MaxDevices = 64;
    public const int MaxChannels = 16;
    public const int MaxAbortTextBytes = 512;

    /// <summary>Pages that always travel together on one channel: 2 MiB.</summary>
    public const long PagesPerRange = 512;

    /// <summary>The longest payload: a full pages frame with its table of page CRCs.</summary>
    public const int MaxPayloadBytes = MaxPagesPerFrame * (sizeof(uint) + GuestMemoryLayout.PageSizeBytes);

    /// <summary>The channel that carries a page, in a session of <paramref name="channels"/> (2 or more).</summary>
    public static int ChannelOf(long page, int channels) => 1 + (int)(page / PagesPerRange % (channels - 1));
}
