using System.Buffers.Binary;

namespace MigrationCluster.Protocol.DataPlane.Sealing;

/// <summary>
/// What each side of a sealed connection says in the clear, before anything else: the source first, then the destination.
/// </summary>
/// <remarks><code>
///   0       8         10        12       14     16           32       64
///   | magic | version | channel | status | zero | session id | nonce |
/// </code>
/// The session id tells the destination which secret to try and gives nothing of it away. The nonces are fresh random numbers of
/// each side, so no two connections, of one session or of two, ever share a key. Nothing here is trusted: whoever does not know the
/// session's secret derives other keys, and its first record does not open.
/// </remarks>
/// <param name="Status">0 from the source; from the destination why it goes no further, or <see cref="ChannelStatus.Accepted"/>.</param>
public readonly record struct SealedPreface(
    ushort Version, ushort Channel, ChannelStatus Status, SessionId Session, ReadOnlyMemory<byte> Nonce)
{
    public const int SizeBytes = 64;
    public const int NonceBytes = 32;

    private const int SessionIdAt = 16;
    private const int NonceAt = SessionIdAt + SessionId.SizeBytes;

    public static ReadOnlySpan<byte> Magic => "MC-SEAL\n"u8;

    public byte[] ToBytes()
    {
        var bytes = new byte[SizeBytes];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(10), Channel);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(12), (ushort)Status);
        Session.Write(bytes.AsSpan(SessionIdAt));
        Nonce.Span.CopyTo(bytes.AsSpan(NonceAt, NonceBytes));
        return bytes;
    }

    /// <summary>Whether the bytes that have arrived so far can still become a preface.</summary>
    public static bool CouldBegin(ReadOnlySpan<byte> received) =>
        received.Length >= Magic.Length ? received.StartsWith(Magic) : Magic.StartsWith(received);

    /// <param name="source">exactly <see cref="SizeBytes"/> bytes.</param>
    /// <returns>null, or what is wrong; then <paramref name="preface"/> must not be used.</returns>
    public static string? Read(ReadOnlySpan<byte> source, out SealedPreface preface)
    {
        preface = default;
        if (!source.StartsWith(Magic)) return "this is no sealed data-plane connection";
        preface = new SealedPreface(
            BinaryPrimitives.ReadUInt16LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[10..]),
            (ChannelStatus)BinaryPrimitives.ReadUInt16LittleEndian(source[12..]),
            SessionId.Read(source[SessionIdAt..]),
            source.Slice(NonceAt, NonceBytes).ToArray());
        if (preface.Channel >= DataPlaneWire.MaxChannels) return $"channel {preface.Channel}";
        return BinaryPrimitives.ReadUInt16LittleEndian(source[14..]) != 0 ? "a reserved byte is not zero" : null;
    }
}
