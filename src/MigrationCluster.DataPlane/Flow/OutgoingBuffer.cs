using MigrationCluster.DataPlane.Sealing;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>Frames that leave together, with room around them for what seals them: they are sealed where they lie.</summary>
/// <param name="maxBytes">of frames.</param>
/// <param name="sealer">null: they leave as they are.</param>
internal sealed class OutgoingBuffer(int maxBytes, RecordSealer? sealer)
{
    private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(maxBytes + SealedRecord.OverheadBytes, pinned: true);

    /// <summary>Where frames are written.</summary>
    internal Memory<byte> Frames => _bytes.AsMemory(SealedRecord.LengthBytes, maxBytes);

    /// <summary>Bytes that <see cref="Finish"/> adds.</summary>
    internal int OverheadBytes => sealer is null ? 0 : SealedRecord.OverheadBytes;

    /// <summary>Seals the first bytes of <see cref="Frames"/>; nothing may be written there until the result has left.</summary>
    /// <returns>what goes over the wire.</returns>
    internal ReadOnlyMemory<byte> Finish(int length)
    {
        if (sealer is null) return Frames[..length];
        var record = _bytes.AsMemory(0, length + SealedRecord.OverheadBytes);
        sealer.Seal(Frames.Span[..length], record.Span);
        return record;
    }
}
