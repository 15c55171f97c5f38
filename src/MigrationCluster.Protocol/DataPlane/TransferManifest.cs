using System.Buffers.Binary;
using System.Security.Cryptography;

namespace MigrationCluster.Protocol.DataPlane;

/// <summary>What one side of a session holds at its end: a digest over every page's last version, and every device's stream.</summary>
/// <remarks><code>
///   manifest = page digest (32), number of devices (u32), devices in ascending order: index (u32), bytes (u64), CRC-32C (u32),
///              and, where all of RAM is to be compared, its hash (32)
/// </code></remarks>
/// <param name="PageDigest">SHA-256 over the page digest table: a CRC-32C a page as u32, little-endian, in page order.</param>
/// <param name="Devices">ended device streams, in ascending order of device index.</param>
/// <param name="RamHash">SHA-256 over the SHA-256 of every 2 MiB of guest RAM as it lies there, in page order; empty: not asked for.</param>
public sealed record TransferManifest(
    ReadOnlyMemory<byte> PageDigest, IReadOnlyList<DeviceStream> Devices, ReadOnlyMemory<byte> RamHash = default)
{
    public const int DigestBytes = 32;
    public const int MaxSizeBytes = DigestBytes + sizeof(uint) + DataPlaneWire.MaxDevices * DeviceBytes + DigestBytes;

    private const int DeviceBytes = 16;

    /// <summary>SHA-256 over the manifest's wire form, hexadecimal: what is voted on.</summary>
    public string Digest => Convert.ToHexStringLower(SHA256.HashData(ToBytes()));

    public byte[] ToBytes()
    {
        var bytes = new byte[DigestBytes + sizeof(uint) + Devices.Count * DeviceBytes + RamHash.Length];
        PageDigest.Span.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(DigestBytes), Devices.Count);
        var at = bytes.AsSpan(DigestBytes + sizeof(uint));
        foreach (var device in Devices)
        {
            BinaryPrimitives.WriteInt32LittleEndian(at, device.Device);
            BinaryPrimitives.WriteUInt64LittleEndian(at[4..], device.Bytes);
            BinaryPrimitives.WriteUInt32LittleEndian(at[12..], device.Crc32C);
            at = at[DeviceBytes..];
        }
        RamHash.Span.CopyTo(at);
        return bytes;
    }

    /// <returns>null when the bytes are no manifest.</returns>
    public static TransferManifest? TryRead(ReadOnlySpan<byte> source)
    {
        if (source.Length < DigestBytes + sizeof(uint)) return null;
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(source[DigestBytes..]);
        var at = source[(DigestBytes + sizeof(uint))..];
        if (count > DataPlaneWire.MaxDevices || at.Length - (int)count * DeviceBytes is not (0 or DigestBytes)) return null;
        var devices = new DeviceStream[count];
        for (int i = 0; i < devices.Length; i++, at = at[DeviceBytes..])
        {
            devices[i] = new DeviceStream(
                BinaryPrimitives.ReadInt32LittleEndian(at),
                BinaryPrimitives.ReadUInt64LittleEndian(at[4..]),
                BinaryPrimitives.ReadUInt32LittleEndian(at[12..]));
            if (devices[i].Device < 0 || i > 0 && devices[i].Device <= devices[i - 1].Device) return null;
        }
        return new TransferManifest(source[..DigestBytes].ToArray(), devices, at.ToArray());
    }

    /// <summary>Null when both were told the same of pages and devices; else the first difference, for a person.</summary>
    public string? DifferenceFrom(TransferManifest other)
    {
        if (!PageDigest.Span.SequenceEqual(other.PageDigest.Span)) return "the pages differ";
        if (Devices.Count != other.Devices.Count)
            return $"{Devices.Count} device streams ended here and {other.Devices.Count} there";
        for (int i = 0; i < Devices.Count; i++)
            if (Devices[i] != other.Devices[i]) return $"device stream {Devices[i]} here is {other.Devices[i]} there";
        return null;
    }
}

/// <summary>One device's whole state stream.</summary>
/// <param name="Device">device index in the session.</param>
/// <param name="Bytes">stream length.</param>
/// <param name="Crc32C">CRC-32C over all of it.</param>
public readonly record struct DeviceStream(int Device, ulong Bytes, uint Crc32C);
