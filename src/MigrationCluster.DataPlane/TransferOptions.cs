using MigrationCluster.DataPlane.Flow;

namespace MigrationCluster.DataPlane;

/// <summary>How a session uses the network.</summary>
public sealed record TransferOptions
{
    public static readonly TransferOptions Default = new();

    /// <summary>Connections of one session, 2 to 16: one for device state, the others for pages.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>To connect, and to be welcomed, on each connection.</summary>
    public TimeSpan HandshakeTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a session goes without a connection, once it has had one, before it fails.</summary>
    public TimeSpan ReconnectLimit { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>What a source's sending keeps to; null: as fast as it can.</summary>
    public BandwidthShare? Bandwidth { get; init; }
}
