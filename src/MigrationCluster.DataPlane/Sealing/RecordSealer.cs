using System.Buffers.Binary;
using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Sealing;

/// <summary>Seals one direction of one connection, record after record. One caller at a time; allocates nothing a record.</summary>
internal sealed class RecordSealer(TrafficSecret secret) : IDisposable
{
    private readonly RecordKey _key = new(secret);

    /// <summary>Seals one record.</summary>
    /// <param name="plain">1 byte to <see cref="SealedRecord.MaxPlainBytes"/>; must not change meanwhile, unless it is
    /// <paramref name="record"/>'s own middle: sealing in place is allowed.</param>
    /// <param name="record">as long as <paramref name="plain"/> and <see cref="SealedRecord.OverheadBytes"/>.</param>
    /// <exception cref="ArgumentException">a length that no record has.</exception>
    public void Seal(ReadOnlySpan<byte> plain, Span<byte> record)
    {
        if (plain.Length is 0 or > SealedRecord.MaxPlainBytes || record.Length != plain.Length + SealedRecord.OverheadBytes)
            throw new ArgumentException($"{plain.Length} bytes into a record of {record.Length}");
        Span<byte> nonce = stackalloc byte[TrafficSecret.IvBytes];
        _key.WriteNonce(nonce);
        var length = record[..SealedRecord.LengthBytes];
        BinaryPrimitives.WriteInt32LittleEndian(length, plain.Length);
        RecordKey.Cipher.Encrypt(_key.Key, nonce, length, plain, record[SealedRecord.LengthBytes..]);
        _key.Advance();
    }

    public void Dispose() => _key.Dispose();
}
