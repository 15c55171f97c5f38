using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Devices.Ownership;

/// <summary>A fence record as it lies on disk. Strict: a record that was written by something else guards nothing.</summary>
internal static class FenceJson
{
    private const int Version = 1;

    public static byte[] Write(FenceRecord record) => JsonSerializer.SerializeToUtf8Bytes(
        new FenceDocument(
            Version, record.Guest.Value, record.Fence.Epoch.Value, record.Fence.Term.Value, record.Role,
            record.VerifiedDigest, record.Kept, record.Yielded, record.Permitted),
        FenceJsonContext.Default.FenceDocument);

    /// <exception cref="JsonException">no fence record.</exception>
    /// <exception cref="FormatException">a value that no record can have.</exception>
    public static FenceRecord Read(ReadOnlySpan<byte> json)
    {
        var document = JsonSerializer.Deserialize(json, FenceJsonContext.Default.FenceDocument)
            ?? throw new JsonException("a fence record is not null");
        if (document.Version != Version) throw new FormatException($"version {document.Version} is not {Version}");
        if (!Enum.IsDefined(document.Role)) throw new FormatException($"{document.Role} is no role");
        if (document.Kept && document.Yielded) throw new FormatException("it says both Kept and Yielded");
        return new FenceRecord(
            GuestName.Parse(document.Guest), new Fence(new Epoch(document.Epoch), new Term(document.Term)), document.Role,
            document.VerifiedDigest, document.Kept, document.Yielded, document.Permitted);
    }
}

internal sealed record FenceDocument(
    int Version, string Guest, ulong Epoch, ulong Term, GuestRole Role, string? VerifiedDigest, bool Kept, bool Yielded,
    bool Permitted);

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, UseStringEnumConverter = true, RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true, UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow)]
[JsonSerializable(typeof(FenceDocument))]
internal sealed partial class FenceJsonContext : JsonSerializerContext;
