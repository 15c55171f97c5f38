using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Setup records and verdicts as UTF-8 JSON: replies of GET_SETUP_RECORD and CHECK_SETUP.</summary>
public static class SetupJson
{
    public static byte[] Write(SetupRecord record) =>
        JsonSerializer.SerializeToUtf8Bytes(record, SetupJsonContext.Default.SetupRecord);

    public static byte[] Write(Verdict verdict) =>
        JsonSerializer.SerializeToUtf8Bytes(verdict, SetupJsonContext.Default.Verdict);

    /// <exception cref="JsonException">no such record; the message names the place.</exception>
    public static SetupRecord ReadRecord(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, SetupJsonContext.Default.SetupRecord)
        ?? throw new JsonException("a setup record is not null");

    /// <exception cref="JsonException">no such verdict; the message names the place.</exception>
    public static Verdict ReadVerdict(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, SetupJsonContext.Default.Verdict)
        ?? throw new JsonException("a verdict is not null");
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(SetupRecord))]
[JsonSerializable(typeof(Verdict))]
internal sealed partial class SetupJsonContext : JsonSerializerContext;
