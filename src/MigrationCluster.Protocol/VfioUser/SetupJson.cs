using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Setup records and mismatches as UTF-8 JSON: replies of GET_SETUP_RECORD and CHECK_SETUP.</summary>
public static class SetupJson
{
    public static byte[] Write(SetupRecord record) =>
        JsonSerializer.SerializeToUtf8Bytes(record, SetupJsonContext.Default.SetupRecord);

    public static byte[] Write(IReadOnlyList<SetupMismatch> mismatches) =>
        JsonSerializer.SerializeToUtf8Bytes(mismatches, SetupJsonContext.Default.IReadOnlyListSetupMismatch);

    /// <exception cref="JsonException">no such record; the message names the place.</exception>
    public static SetupRecord ReadRecord(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, SetupJsonContext.Default.SetupRecord)
        ?? throw new JsonException("a setup record is not null");

    /// <exception cref="JsonException">no such list; the message names the place.</exception>
    public static IReadOnlyList<SetupMismatch> ReadMismatches(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, SetupJsonContext.Default.IReadOnlyListSetupMismatch)
        ?? throw new JsonException("a list of mismatches is not null");
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true)]
[JsonSerializable(typeof(SetupRecord))]
[JsonSerializable(typeof(IReadOnlyList<SetupMismatch>))]
internal sealed partial class SetupJsonContext : JsonSerializerContext;
