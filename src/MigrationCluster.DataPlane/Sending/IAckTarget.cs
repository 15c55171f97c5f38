namespace MigrationCluster.DataPlane.Sending;

/// <summary>Hears on a channel's reading loop what the destination answers.</summary>
internal interface IAckTarget
{
    void TakeAck(in SentFrame frame);

    /// <summary>The destination agrees with the manifest.</summary>
    /// <param name="digest">of the destination's own manifest.</param>
    void TakeVerdict(ReadOnlySpan<byte> digest);

    /// <summary>Whether the verdict is here, so that the destination may close.</summary>
    bool HasVerdict { get; }

    /// <summary>A channel's input has ended; the funnel holds the reason.</summary>
    void ChannelEnded();
}
