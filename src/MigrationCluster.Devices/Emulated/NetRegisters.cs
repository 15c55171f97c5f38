namespace MigrationCluster.Devices.Emulated;

/// <summary>Registers of the <c>net</c> model beyond <see cref="DeviceRegisters"/>; those up to <see cref="PeerRefused"/> are
/// <c>legacy</c>'s too.</summary>
/// <remarks>
/// The DMA engine stamps (<see cref="PageStamp"/>) the pages of its area in turn, so the version of page i of n after w
/// writes is known without a table: <c>w / n + (i &lt; w % n ? 1 : 0)</c>. The stamp's page number is its GPA / 4096.
/// </remarks>
public static class NetRegisters
{
    public const ulong ControlDma = 1;
    public const ulong ControlPeer = 2;

    /// <summary>Read-write while DMA is disabled: GPA of the DMA area. Writing it or the size starts the count anew.</summary>
    public const ulong DmaBase = 0x40;
    public const ulong DmaSizeBytes = 0x48;

    /// <summary>Read-only: pages written into the area.</summary>
    public const ulong DmaPages = 0x50;

    /// <summary>Read-only: sum of <see cref="PageStamp.Mix"/> over the area's pages at their versions.</summary>
    public const ulong DmaAccumulator = 0x58;

    /// <summary>Read-write: IOVA of a doorbell in a peer's BAR that takes numbers without a gap.</summary>
    public const ulong PeerAddress = 0x60;

    /// <summary>Read-only: numbers 1..n the peer has taken, and the sum of their <see cref="PageStamp.Mix"/> at version 1.</summary>
    public const ulong PeerSent = 0x68;
    public const ulong PeerSum = 0x70;

    /// <summary>Read-only: P2P writes that were refused, or held because their window was not mapped, and tried again.</summary>
    public const ulong PeerRefused = 0x78;

    /// <summary>Read-write: which receive filter <see cref="FilterValue"/> stands for. Both are there only with rx-filter-size &gt; 0.</summary>
    public const ulong FilterIndex = 0x80;
    public const ulong FilterValue = 0x88;

    /// <summary>Read-only: queues, and receive filters (rx-filter-size).</summary>
    public const ulong Queues = 0x90;
    public const ulong Filters = 0x98;

    /// <summary>Read-only: link-speed in Mb/s; 0: hidden from the guest.</summary>
    public const ulong LinkSpeed = 0xA0;

    /// <summary>Read-only: where DMA last faulted, all ones: nowhere. Setting the area up anew clears it.</summary>
    public const ulong FaultAddress = 0xA8;

    public const ulong BarBytes = 4096;
}
