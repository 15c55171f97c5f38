using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MigrationCluster.Protocol.DataPlane.Sealing;

/// <summary>The public name of a session: a one-way function of its secret, 16 bytes.</summary>
public readonly record struct SessionId(UInt128 Value)
{
    public const int SizeBytes = 16;

    public static SessionId Of(SessionToken secret)
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        HKDF.DeriveKey(HashAlgorithmName.SHA256, secret.Bytes, bytes, salt: [], info: "mc-data session id"u8);
        return Read(bytes);
    }

    public static SessionId Read(ReadOnlySpan<byte> source) => new(BinaryPrimitives.ReadUInt128BigEndian(source));

    public void Write(Span<byte> destination) => BinaryPrimitives.WriteUInt128BigEndian(destination, Value);

    public override string ToString() => Value.ToString("x32", System.Globalization.CultureInfo.InvariantCulture);
}
