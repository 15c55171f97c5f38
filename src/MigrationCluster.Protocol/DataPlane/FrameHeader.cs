using System.Buffers.Binary;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>
/// The 32 bytes every frame begins with: what it is, its place in the channel, what it speaks of.
/// </summary>
/// <remarks><code>
///   0        4      5      6        8          16         24         32
///   | CRC-32C | kind | zero | device | sequence | first    | count    |
///     of 4..31   u8     u8    u16      u64        u64        u64
/// </code>
/// The meaning of first and count depends on the kind (<see cref="FrameKind"/>); the payload's length follows from both.
/// </remarks>
/// <param name="Device">device index; 0 where a kind has none.</param>
public readonly record struct FrameHeader(FrameKind Kind, ushort Device, ulong Sequence, ulong First, ulong Count)
{
    public const int SizeBytes = 32;

    /// <summary>Bytes that follow the header. Only for a header that <see cref="Check"/> accepts.</summary>
    public int PayloadBytes => Kind switch
    {
        FrameKind.Pages => (int)Count * (sizeof(uint) + GuestMemoryLayout.PageSizeBytes),
        FrameKind.DeviceChunk or FrameKind.Manifest or FrameKind.Verdict or FrameKind.Abort =>
            sizeof(uint) + (int)Count,
        _ => 0,
    };

    public void Write(Span<byte> destination)
    {
        destination[4] = (byte)Kind;
        destination[5] = 0;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], Device);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[8..], Sequence);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], First);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], Count);
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Crc32C.Compute(destination[4..SizeBytes]));
    }

    /// <summary>Reads a header and checks it against the session's shape.</summary>
    /// <param name="source">at least <see cref="SizeBytes"/> bytes.</param>
    /// <returns>null, or what is wrong; then <paramref name="header"/> must not be used.</returns>
    public static string? Read(ReadOnlySpan<byte> source, in SessionShape shape, FrameRoute route, out FrameHeader header)
    {
        header = new FrameHeader(
            (FrameKind)source[4],
            BinaryPrimitives.ReadUInt16LittleEndian(source[6..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[8..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[16..]),
            BinaryPrimitives.ReadUInt64LittleEndian(source[24..]));
        if (BinaryPrimitives.ReadUInt32LittleEndian(source) != Crc32C.Compute(source[4..SizeBytes]))
            return "the header does not match its CRC-32C";
        return source[5] != 0 ? "a reserved byte is not zero" : header.Check(shape, route);
    }

    /// <summary>Null, or why this header is not allowed on that route of a session of that shape.</summary>
    public string? Check(in SessionShape shape, FrameRoute route)
    {
        bool allowed = Kind switch
        {
            FrameKind.Pages or FrameKind.ZeroRun => route == FrameRoute.PageChannel,
            FrameKind.DeviceChunk or FrameKind.InitialBytesEnd or FrameKind.DeviceEnd or FrameKind.Manifest =>
                route == FrameRoute.DeviceChannel,
            FrameKind.Ack or FrameKind.Verdict or FrameKind.Abort => route == FrameRoute.Back,
            _ => false,
        };
        if (!allowed) return $"kind {(byte)Kind} does not travel here";
        return Kind switch
        {
            FrameKind.Pages when Count is 0 or > DataPlaneWire.MaxPagesPerFrame => $"{Count} pages in a frame",
            FrameKind.Pages or FrameKind.ZeroRun => Device != 0 ? "a page frame names a device" : CheckPages(shape),
            FrameKind.DeviceChunk or FrameKind.InitialBytesEnd or FrameKind.DeviceEnd => CheckDevice(shape),
            FrameKind.Manifest when Count > (ulong)TransferManifest.MaxSizeBytes => $"a manifest of {Count} bytes",
            FrameKind.Ack when First == 0 || Count == 0 || First + Count < First =>
                $"acknowledges {Count} frames from {First}",
            FrameKind.Verdict when Count != TransferManifest.DigestBytes => "a malformed verdict",
            FrameKind.Abort when First > byte.MaxValue || Count > DataPlaneWire.MaxAbortTextBytes =>
                "a malformed abort frame",
            _ => null,
        };
    }

    private string? CheckPages(in SessionShape shape) =>
        Count == 0 || First >= shape.PageCount || Count > shape.PageCount - First
            ? $"{Count} pages from page {First}, and the guest has {shape.PageCount}"
            : null;

    private string? CheckDevice(in SessionShape shape)
    {
        if (Device >= shape.DeviceCount) return $"device {Device}, and the guest has {shape.DeviceCount}";
        return Kind switch
        {
            FrameKind.DeviceChunk when Count is 0 or > DataPlaneWire.MaxDeviceChunkBytes =>
                $"a device chunk of {Count} bytes",
            FrameKind.DeviceChunk when First + Count < First => $"a device chunk at offset {First}",
            FrameKind.InitialBytesEnd when Count != 0 => "a malformed end of initial bytes",
            FrameKind.DeviceEnd when Count > uint.MaxValue => "a malformed end of stream",
            _ => null,
        };
    }
}
