using System.Security.Cryptography;
using MigrationCluster.DataPlane.Sealing;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.DataPlane.Sealing;
using NSec.Cryptography;

namespace MigrationCluster.DataPlane.Tests.Sealing;

public sealed class SealingTests
{
    private static readonly SessionToken Session = new([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);
    private static readonly byte[] SourceSays = Preface(0x11, 1).ToBytes();
    private static readonly byte[] DestinationSays = Preface(0x22, 1).ToBytes();

    /// <summary>The vectors of docs/wire.md: whoever changes the key schedule or the layout changes the wire.</summary>
    [Fact]
    public void Keeps_to_the_test_vectors()
    {
        var secret = Secret();
        Assert.Equal(Vectors.SessionId, SessionId.Of(Session).ToString());
        Assert.Equal(Vectors.SourcePreface, Hex(SourceSays));
        Assert.Equal(Vectors.ForwardKey, Hex(secret.Key));
        Assert.Equal(Vectors.ForwardIv, Hex(secret.Iv));
        Assert.Equal(Vectors.BackKey, Hex(Secret(back: true).Key));
        Assert.Equal(Vectors.NextKey, Hex(secret.Next.Key));
        using var sealer = new RecordSealer(secret);
        Assert.Equal(Vectors.FirstRecord, Hex(Seal(sealer, "page"u8)));
        Assert.Equal(Vectors.SecondRecord, Hex(Seal(sealer, "page"u8)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(SealedRecord.MaxPlainBytes)]
    public void Opens_what_was_sealed_in_place(int length)
    {
        byte[] plain = RandomNumberGenerator.GetBytes(length), record = new byte[length + SealedRecord.OverheadBytes];
        plain.CopyTo(record, SealedRecord.LengthBytes);
        using var sealer = new RecordSealer(Secret());
        using var opener = new RecordOpener(Secret());
        sealer.Seal(record.AsSpan(SealedRecord.LengthBytes, length), record);
        Assert.Null(SealedRecord.ReadLength(record, out int plainBytes));
        Assert.Equal(length, plainBytes);
        var middle = record.AsSpan(SealedRecord.LengthBytes, length);
        Assert.Null(opener.Open(record, middle));
        Assert.True(middle.SequenceEqual(plain));
    }

    [Fact]
    public void Refuses_every_changed_bit()
    {
        using var sealer = new RecordSealer(Secret());
        byte[] record = Seal(sealer, "a page of guest RAM"u8);
        for (int bit = 8 * SealedRecord.LengthBytes; bit < 8 * record.Length; bit++)
        {
            byte[] changed = [.. record];
            changed[bit / 8] ^= (byte)(1 << bit % 8);
            Assert.NotNull(Open(Secret(), changed));
        }
    }

    [Fact]
    public void Refuses_a_length_that_was_changed_with_its_record()
    {
        using var sealer = new RecordSealer(Secret());
        byte[] record = Seal(sealer, "a page of guest RAM"u8);
        byte[] shorter = [.. record[..^1]];
        shorter[0]--;
        Assert.NotNull(Open(Secret(), shorter));
    }

    [Theory]
    [InlineData(0u)]
    [InlineData((uint)SealedRecord.MaxPlainBytes + 1)]
    [InlineData(uint.MaxValue)]
    public void Refuses_lengths_that_no_record_has(uint length) =>
        Assert.NotNull(SealedRecord.ReadLength(BitConverter.GetBytes(length), out _));

    [Fact]
    public void Refuses_a_record_that_is_left_out_repeated_or_moved()
    {
        using var sealer = new RecordSealer(Secret());
        byte[][] records = [Seal(sealer, "one"u8), Seal(sealer, "two"u8), Seal(sealer, "six"u8)];
        Assert.NotNull(Open(Secret(), records[1]));
        Assert.NotNull(Open(Secret(), records[0], records[0]));
        Assert.NotNull(Open(Secret(), records[0], records[2]));
        Assert.Null(Open(Secret(), records[0], records[1], records[2]));
    }

    [Fact]
    public void Refuses_a_record_of_another_direction_channel_connection_or_session()
    {
        using var sealer = new RecordSealer(Secret());
        byte[] record = Seal(sealer, "one"u8);
        Assert.NotNull(Open(Secret(back: true), record));
        Assert.NotNull(Open(TrafficSecret.Of(Session, Preface(0x11, 2).ToBytes(), DestinationSays, back: false), record));
        Assert.NotNull(Open(TrafficSecret.Of(Session, Preface(0x12, 1).ToBytes(), DestinationSays, back: false), record));
        Assert.NotNull(Open(TrafficSecret.Of(Session, SourceSays, Preface(0x23, 1).ToBytes(), back: false), record));
        Assert.NotNull(Open(TrafficSecret.Of(new SessionToken(new byte[32]), SourceSays, DestinationSays, back: false), record));
    }

    [Fact]
    public void Goes_on_under_the_next_key_after_2_to_the_18_records()
    {
        using var sealer = new RecordSealer(Secret());
        byte[] record = new byte[1 + SealedRecord.OverheadBytes], plain = new byte[1];
        for (ulong i = 0; i < TrafficSecret.RecordsPerKey; i++) sealer.Seal([7], record);

        // The record after the last of the first key, sealed by the primitives under the second.
        byte[] nonce = Secret().Next.Iv;
        nonce[^3] ^= (byte)(TrafficSecret.RecordsPerKey >> 16);
        sealer.Seal([9], record);
        using var key = Key.Import(RecordKey.Cipher, Secret().Next.Key, KeyBlobFormat.RawSymmetricKey);
        Assert.True(RecordKey.Cipher.Decrypt(key, nonce, record.AsSpan(0, 4), record.AsSpan(4), plain));
        Assert.Equal(9, plain[0]);
    }

    [Fact]
    public void Reads_a_preface_as_it_was_written_and_nothing_else()
    {
        Assert.Null(SealedPreface.Read(SourceSays, out var read));
        Assert.Equal(SourceSays, read.ToBytes());
        Assert.True(SealedPreface.CouldBegin("MC-SE"u8));
        Assert.False(SealedPreface.CouldBegin("GET / HTTP/1.1"u8));
        Assert.False(SealedPreface.CouldBegin(ChannelHello.Magic));
        byte[] reserved = [.. SourceSays];
        reserved[14] = 1;
        Assert.NotNull(SealedPreface.Read(reserved, out _));
        byte[] channel = [.. SourceSays];
        channel[10] = DataPlaneWire.MaxChannels;
        Assert.NotNull(SealedPreface.Read(channel, out _));
    }

    private static SealedPreface Preface(byte fill, ushort channel) => new(
        DataPlaneWire.Version, channel, ChannelStatus.Accepted, SessionId.Of(Session), Enumerable.Repeat(fill, SealedPreface.NonceBytes).ToArray());

    private static TrafficSecret Secret(bool back = false) => TrafficSecret.Of(Session, SourceSays, DestinationSays, back);

    private static byte[] Seal(RecordSealer sealer, ReadOnlySpan<byte> plain)
    {
        var record = new byte[plain.Length + SealedRecord.OverheadBytes];
        sealer.Seal(plain, record);
        return record;
    }

    private static string? Open(TrafficSecret secret, params byte[][] records)
    {
        using var opener = new RecordOpener(secret);
        foreach (byte[] record in records)
            if (opener.Open(record.ToArray(), new byte[record.Length - SealedRecord.OverheadBytes]) is { } wrong)
                return wrong;
        return null;
    }

    private static string Hex(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(bytes);
}
