using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Json;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Descriptors, setup records and verdicts as UTF-8 JSON: DESCRIBE, GET_SETUP_RECORD and CHECK_SETUP.</summary>
/// <remarks>Whoever sends them is not trusted: <see cref="DescriptorLimits"/> hold before anything is compared.</remarks>
public static class SetupJson
{
    private static readonly string[] RecordFields = ["device", "slot", "descriptor"];

    public static byte[] Write(SetupRecord record) =>
        JsonSerializer.SerializeToUtf8Bytes(record, SetupJsonContext.Default.SetupRecord);

    public static byte[] Write(DeviceDescriptor descriptor) => DescriptorJson.Write(descriptor);

    public static byte[] Write(Verdict verdict) =>
        JsonSerializer.SerializeToUtf8Bytes(verdict, SetupJsonContext.Default.Verdict);

    /// <exception cref="JsonException">no such record; the message names the place.</exception>
    public static SetupRecord ReadRecord(ReadOnlySpan<byte> json) =>
        BoundedJsonReader.TryRead(json, Record, out var record, out var refusal) ? record : throw new JsonException($"{refusal}");

    /// <exception cref="JsonException">no such descriptor; the message names the place.</exception>
    public static DeviceDescriptor ReadDescriptor(ReadOnlySpan<byte> json) =>
        DescriptorJson.TryRead(json, out var descriptor, out var refusal) ? descriptor : throw new JsonException($"{refusal}");

    /// <exception cref="JsonException">no such verdict; the message names the place.</exception>
    public static Verdict ReadVerdict(ReadOnlySpan<byte> json)
    {
        if (json.Length > DescriptorLimits.Bytes)
            throw new JsonException($"a verdict of {json.Length} bytes; at most {DescriptorLimits.Bytes} are read");
        var verdict = JsonSerializer.Deserialize(json, SetupJsonContext.Default.Verdict)
            ?? throw new JsonException("a verdict is not null");
        return verdict switch
        {
            Compatible compatible when compatible.Dropped.Any(section => section is null) =>
                throw new JsonException("a dropped section is not null"),
            Incompatible incompatible when !AreReasons(incompatible.Reasons) =>
                throw new JsonException("a refusal has reasons, none of them null"),
            Unknown unknown when !AreReasons(unknown.Why) =>
                throw new JsonException("a doubt has reasons, none of them null"),
            _ => verdict,
        };
    }

    private static bool AreReasons(IReadOnlyList<CompatibilityReason> reasons) =>
        reasons.Count > 0 && reasons.All(reason => reason is not null);

    private static SetupRecord Record(ref BoundedJsonReader json)
    {
        var record = new SetupRecord("", 0, DeviceDescriptor.Empty(default));
        var fields = json.BeginObject(RecordFields, required: RecordFields.Length);
        while (json.NextField(ref fields, out int field))
            record = field switch
            {
                0 => record with { Device = json.String(DescriptorLimits.Name) },
                1 => record with { Slot = json.Int32(-1, DescriptorLimits.Index) },
                _ => record with { Descriptor = DescriptorJson.Read(ref json) },
            };
        return record;
    }
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    UseStringEnumConverter = true, AllowDuplicateProperties = false, MaxDepth = DescriptorLimits.Depth)]
[JsonSerializable(typeof(SetupRecord))]
[JsonSerializable(typeof(Verdict))]
internal sealed partial class SetupJsonContext : JsonSerializerContext;
