using System.Buffers.Binary;
using MigrationCluster.Protocol.DataPlane.Sealing;
using NSec.Cryptography;

namespace MigrationCluster.DataPlane.Sealing;

/// <summary>The key of one direction of one connection, and the number of the next record under it.</summary>
internal sealed class RecordKey : IDisposable
{
    private TrafficSecret _secret;
    private Key _key;
    private byte[] _iv;

    internal RecordKey(TrafficSecret secret) =>
        (_secret, _key, _iv) = (secret, Import(secret), secret.Iv);

    /// <summary>AEGIS-256, of libsodium: see docs/decisions/0008.</summary>
    internal static AeadAlgorithm Cipher => AeadAlgorithm.Aegis256;

    /// <summary>Counts records from 0, through all keys of the direction.</summary>
    internal ulong Number { get; private set; }

    internal Key Key => _key;

    /// <summary>Of the record <see cref="Number"/>.</summary>
    internal void WriteNonce(Span<byte> nonce)
    {
        _iv.CopyTo(nonce);
        var last = nonce[^sizeof(ulong)..];
        BinaryPrimitives.WriteUInt64BigEndian(last, BinaryPrimitives.ReadUInt64BigEndian(last) ^ Number);
    }

    /// <summary>The record <see cref="Number"/> is done: its nonce is never used again.</summary>
    internal void Advance()
    {
        if (++Number % TrafficSecret.RecordsPerKey != 0) return;
        _key.Dispose();
        _secret = _secret.Next;
        (_key, _iv) = (Import(_secret), _secret.Iv);
    }

    public void Dispose() => _key.Dispose();

    private static Key Import(TrafficSecret secret) => Key.Import(Cipher, secret.Key, KeyBlobFormat.RawSymmetricKey);
}
