using System.Buffers.Binary;
using MigrationCluster.Protocol.Integrity;

namespace MigrationCluster.DataPlane.Flow;

/// <summary>Payloads that begin with the CRC-32C of the rest of them.</summary>
internal static class Checks
{
    internal static bool Matches(ReadOnlySpan<byte> payload) =>
        BinaryPrimitives.ReadUInt32LittleEndian(payload) == Crc32C.Compute(payload[sizeof(uint)..]);

    internal static void Write(Span<byte> payload, ReadOnlySpan<byte> data) =>
        BinaryPrimitives.WriteUInt32LittleEndian(payload, Crc32C.Copy(data, payload[sizeof(uint)..]));
}
