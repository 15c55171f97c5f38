using System.Security.Cryptography;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>The secret of one transfer session, 32 bytes, given to both sides by the control plane.</summary>
/// <remarks>Compared in constant time; never printed.</remarks>
public readonly struct SessionToken : IEquatable<SessionToken>
{
    public const int SizeBytes = 32;

    private readonly byte[]? _bytes;

    /// <exception cref="ArgumentException">not 32 bytes.</exception>
    public SessionToken(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != SizeBytes) throw new ArgumentException($"a session token has 32 bytes, this one {bytes.Length}");
        _bytes = bytes.ToArray();
    }

    public ReadOnlySpan<byte> Bytes => _bytes ?? new byte[SizeBytes];

    /// <exception cref="FormatException">not 64 hexadecimal digits.</exception>
    public static SessionToken Parse(string hexadecimal) =>
        hexadecimal.Length == 2 * SizeBytes
            ? new SessionToken(Convert.FromHexString(hexadecimal))
            : throw new FormatException($"a session token has 64 hexadecimal digits, this one {hexadecimal.Length}");

    public string ToHexadecimal() => Convert.ToHexStringLower(Bytes);

    public bool Equals(SessionToken other) => CryptographicOperations.FixedTimeEquals(Bytes, other.Bytes);

    public override bool Equals(object? obj) => obj is SessionToken other && Equals(other);

    public override int GetHashCode() => BitConverter.ToInt32(SHA256.HashData(Bytes));

    public static bool operator ==(SessionToken left, SessionToken right) => left.Equals(right);

    public static bool operator !=(SessionToken left, SessionToken right) => !left.Equals(right);

    public override string ToString() => "(session token)";
}
