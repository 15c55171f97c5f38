using System.Buffers.Binary;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>The destination's 16 bytes in answer to a well-formed hello: magic, its wire version, a status, a CRC-32C. On channel 0 a
/// <see cref="LinkStanding"/> follows when it is accepted.</summary>
public readonly record struct ChannelWelcome(ushort Version, ChannelStatus Status)
{
    public const int SizeBytes = 16;

    public void Write(Span<byte> destination)
    {
        ChannelHello.Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], (ushort)Status);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[12..], Crc32C.Compute(destination[..12]));
    }

    /// <returns>null, or what is wrong; then <paramref name="welcome"/> must not be used.</returns>
    public static string? Read(ReadOnlySpan<byte> source, out ChannelWelcome welcome)
    {
        welcome = new ChannelWelcome(
            BinaryPrimitives.ReadUInt16LittleEndian(source[8..]),
            (ChannelStatus)BinaryPrimitives.ReadUInt16LittleEndian(source[10..]));
        if (!source.StartsWith(ChannelHello.Magic)) return "this is no data port";
        return BinaryPrimitives.ReadUInt32LittleEndian(source[12..]) != Crc32C.Compute(source[..12])
            ? "the welcome does not match its CRC-32C"
            : null;
    }
}

/// <summary>How the data port answers a hello.</summary>
public enum ChannelStatus : ushort
{
    Accepted = 0,

    /// <summary>The token belongs to no session that is open here.</summary>
    UnknownSession = 1,

    /// <summary>The wire versions do not fit: N and N-1 talk.</summary>
    WrongVersion = 2,

    /// <summary>The link already has this channel, or another number of channels, or is no more.</summary>
    WrongChannel = 3,

    /// <summary>The guest here has other memory or another number of devices.</summary>
    WrongShape = 4,

    /// <summary>The session is sealed and the connection is not, or the other way round.</summary>
    WrongMode = 5,
}
