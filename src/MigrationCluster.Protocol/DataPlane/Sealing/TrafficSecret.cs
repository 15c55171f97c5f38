using System.Security.Cryptography;

namespace MigrationCluster.Protocol.DataPlane.Sealing;

/// <summary>
/// What the keys of one direction of one connection come from.
///
/// <code>
///   session secret (32 random bytes, given to both sides over mutual TLS, for one transfer session)
///        |  HKDF-SHA256: salt = both prefaces, info = direction
///        v
///   traffic secret of one direction of one connection
///        |  HKDF-Expand "key", "iv"                   after 2^18 records: HKDF-Expand "next"
///        v
///   AEGIS-256 key, 32 bytes of iv; nonce of record n = iv xor n
/// </code>
/// A nonce is never used twice with one key: the prefaces hold 32 fresh random bytes of each side and the channel's number, so each
/// connection and each direction has a key of its own; within it, record numbers only grow, and neither side keeps a key beyond its connection.
/// 2^18 records of at most 513 KiB are at most 129 GiB under one key; the limits of AEGIS-256 are beyond anything that can be sent.
/// </summary>
/// <remarks>The shape of RFC 8446 section 7: separate secrets a direction, a key update, the nonce by exclusive or.</remarks>
public sealed class TrafficSecret
{
    /// <summary>Records under one key.</summary>
    public const ulong RecordsPerKey = 1 << 18;

    public const int KeyBytes = 32;
    public const int IvBytes = 32;

    private readonly byte[] _secret;

    private TrafficSecret(byte[] secret) => _secret = secret;

    /// <param name="session">the session's secret.</param>
    /// <param name="source">the source's preface as it was sent.</param>
    /// <param name="destination">the destination's.</param>
    /// <param name="back">the way from the destination to the source.</param>
    public static TrafficSecret Of(SessionToken session, ReadOnlySpan<byte> source, ReadOnlySpan<byte> destination, bool back)
    {
        var secret = new byte[KeyBytes];
        HKDF.DeriveKey(
            HashAlgorithmName.SHA256, session.Bytes, secret, salt: [.. source, .. destination],
            info: back ? "mc-data destination to source"u8 : "mc-data source to destination"u8);
        return new TrafficSecret(secret);
    }

    public byte[] Key => Expand("mc-data key"u8, KeyBytes);

    public byte[] Iv => Expand("mc-data iv"u8, IvBytes);

    /// <summary>That of the next <see cref="RecordsPerKey"/> records; the one before cannot be computed from it.</summary>
    public TrafficSecret Next => new(Expand("mc-data next"u8, KeyBytes));

    public override string ToString() => "(traffic secret)";

    private byte[] Expand(ReadOnlySpan<byte> info, int length)
    {
        var expanded = new byte[length];
        HKDF.Expand(HashAlgorithmName.SHA256, _secret, expanded, info);
        return expanded;
    }
}
