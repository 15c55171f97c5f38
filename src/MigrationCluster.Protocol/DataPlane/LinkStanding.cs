using System.Buffers.Binary;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>
/// What follows the welcome of channel 0: which link of the session this is, whose acknowledgements count, and where every
/// device's stream goes on.
/// </summary>
/// <remarks><code>
///   0             8      10      16
///   | incarnation | link | zeros | devices in order: bytes accepted (u64), CRC-32C of them (u32), zero (u32) | CRC-32C of all before |
/// </code></remarks>
/// <param name="Incarnation">of the destination's guest process; acknowledged pages are void for any other one.</param>
/// <param name="Link">number of this set of connections within its session, 1 to 65535; the other channels' hellos name it.</param>
/// <param name="Devices">one for each device stream of the session's shape.</param>
public sealed record LinkStanding(ulong Incarnation, ushort Link, IReadOnlyList<DeviceStream> Devices)
{
    private const int FixedBytes = 16, DeviceBytes = 16;

    public static int SizeBytes(int devices) => FixedBytes + devices * DeviceBytes + sizeof(uint);

    public byte[] ToBytes()
    {
        var bytes = new byte[SizeBytes(Devices.Count)];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, Incarnation);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(8), Link);
        var at = bytes.AsSpan(FixedBytes);
        foreach (var device in Devices)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(at, device.Bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(at[8..], device.Crc32C);
            at = at[DeviceBytes..];
        }
        BinaryPrimitives.WriteUInt32LittleEndian(at, Crc32C.Compute(bytes.AsSpan(0, bytes.Length - sizeof(uint))));
        return bytes;
    }

    /// <param name="source">as many bytes as <see cref="SizeBytes"/> says for the session's devices.</param>
    /// <returns>null when they are none.</returns>
    public static LinkStanding? TryRead(ReadOnlySpan<byte> source)
    {
        var body = source[..^sizeof(uint)];
        if (BinaryPrimitives.ReadUInt32LittleEndian(source[body.Length..]) != Crc32C.Compute(body)) return null;
        var devices = new DeviceStream[(body.Length - FixedBytes) / DeviceBytes];
        for (int i = 0; i < devices.Length; i++)
        {
            var at = body[(FixedBytes + i * DeviceBytes)..];
            devices[i] = new DeviceStream(
                i, BinaryPrimitives.ReadUInt64LittleEndian(at), BinaryPrimitives.ReadUInt32LittleEndian(at[8..]));
        }
        return new LinkStanding(
            BinaryPrimitives.ReadUInt64LittleEndian(body), BinaryPrimitives.ReadUInt16LittleEndian(body[8..]), devices);
    }
}
