using System.Buffers.Binary;

namespace MigrationCluster.Protocol.DataPlane.Sealing;

/// <summary>
/// The unit that is sealed: some frames, or a part of them, that a peer who does not know the key can neither read nor change.
/// </summary>
/// <remarks><code>
///   0        4                4 + n   36 + n
///   | n: u32 | n sealed bytes | tag   |
/// </code>
/// The length is authenticated with the bytes. A record that is left out, doubled, moved, or taken from another
/// connection, direction or channel has another number or another key, and does not open.
/// </remarks>
public static class SealedRecord
{
    public const int LengthBytes = 4;
    public const int TagBytes = 32;
    public const int OverheadBytes = LengthBytes + TagBytes;

    /// <summary>The longest plaintext: a full frame.</summary>
    public const int MaxPlainBytes = FrameHeader.SizeBytes + DataPlaneWire.MaxPayloadBytes;

    public const int MaxSizeBytes = OverheadBytes + MaxPlainBytes;

    /// <param name="source">at least <see cref="LengthBytes"/> bytes.</param>
    /// <param name="plainBytes">of the record that begins here.</param>
    /// <returns>null, or what is wrong: nothing is ever received, or allocated, by a length that this refuses.</returns>
    public static string? ReadLength(ReadOnlySpan<byte> source, out int plainBytes)
    {
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(source);
        plainBytes = (int)Math.Min(length, int.MaxValue);
        return length is 0 or > MaxPlainBytes ? $"a record of {length} bytes" : null;
    }
}
