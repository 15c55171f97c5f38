using System.Buffers.Binary;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>
/// The first 64 bytes of a connection: which session it belongs to, which of its channels it is, and of which link.
/// </summary>
/// <remarks><code>
///   0       8         10        12         14     16      48           56             60
///   | magic | version | channel | channels | link | token | page count | device count | CRC-32C of 0..59 |
/// </code></remarks>
/// <param name="Version">the sender's wire version; the caller judges it, the layout of the hello never changes.</param>
/// <param name="Link">0 on channel 0, which opens a link and closes the one before; on the others the number it was answered
/// (<see cref="LinkStanding"/>).</param>
public readonly record struct ChannelHello(
    ushort Version, ushort Channel, ushort Channels, SessionToken Token, SessionShape Shape, ushort Link = 0)
{
    public const int SizeBytes = 64;

    public static ReadOnlySpan<byte> Magic => "MC-DATA\n"u8;

    public void Write(Span<byte> destination)
    {
        Magic.CopyTo(destination);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[8..], Version);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[10..], Channel);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[12..], Channels);
        BinaryPrimitives.WriteUInt16LittleEndian(destination[14..], Link);
        Token.Bytes.CopyTo(destination[16..]);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[48..], Shape.PageCount);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[56..], Shape.DeviceCount);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[60..], Crc32C.Compute(destination[..60]));
    }

    /// <summary>Whether the bytes that have arrived so far can still become a hello.</summary>
    public static bool CouldBegin(ReadOnlySpan<byte> received) =>
        received.Length >= Magic.Length ? received.StartsWith(Magic) : Magic.StartsWith(received);

    /// <returns>null, or what is wrong; then <paramref name="hello"/> must not be used.</returns>
    public static string? Read(ReadOnlySpan<byte> source, out ChannelHello hello)
    {
        hello = default;
        if (!source.StartsWith(Magic)) return "this is no data-plane connection";
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[60..]) != Crc32C.Compute(source[..60]))
            return "the hello does not match its CRC-32C";
        hello = new ChannelHello(
            BinaryPrimitives.ReadUInt16LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[10..]),
            BinaryPrimitives.ReadUInt16LittleEndian(source[12..]),
            new SessionToken(source[16..48]),
            new SessionShape(
                BinaryPrimitives.ReadUInt64LittleEndian(source[48..]),
                BinaryPrimitives.ReadUInt32LittleEndian(source[56..])),
            BinaryPrimitives.ReadUInt16LittleEndian(source[14..]));
        if (hello.Channels is < 2 or > DataPlaneWire.MaxChannels || hello.Channel >= hello.Channels)
            return $"channel {hello.Channel} of {hello.Channels}";
        if (hello.Channel == 0 != (hello.Link == 0)) return $"channel {hello.Channel} of link {hello.Link}";
        return null;
    }
}
