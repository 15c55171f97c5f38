using MigrationCluster.Protocol.DataPlane.Sealing;

namespace MigrationCluster.DataPlane.Sealing;

/// <summary>Opens one direction of one connection, record after record. One caller at a time; allocates nothing a record.</summary>
internal sealed class RecordOpener(TrafficSecret secret) : IDisposable
{
    private readonly RecordKey _key = new(secret);

    /// <summary>Opens the next record.</summary>
    /// <param name="record">whole, its length as <see cref="SealedRecord.ReadLength"/> accepted it.</param>
    /// <param name="plain">gets the plaintext; <paramref name="record"/>'s own middle is allowed. On a failure it is zeroed.</param>
    /// <returns>null, or what is wrong; then nothing of this connection may be used any more.</returns>
    public string? Open(Span<byte> record, Span<byte> plain)
    {
        Span<byte> nonce = stackalloc byte[TrafficSecret.IvBytes];
        _key.WriteNonce(nonce);
        if (!RecordKey.Cipher.Decrypt(_key.Key, nonce, record[..SealedRecord.LengthBytes], record[SealedRecord.LengthBytes..], plain))
            return $"record {_key.Number} does not open: it was changed, left out, repeated, moved, or sealed by somebody who does not know the session's secret";

        _key.Advance();
        return null;
    }

    public void Dispose() => _key.Dispose();
}
