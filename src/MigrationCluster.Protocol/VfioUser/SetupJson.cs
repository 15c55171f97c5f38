using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.VfioUser;

/// <summary>Descriptors, setup records and verdicts as UTF-8 JSON: DESCRIBE, GET_SETUP_RECORD and CHECK_SETUP.</summary>
/// <remarks>Whoever sends them is not trusted: length, depth and counts are bounded before anything is compared.</remarks>
public static class SetupJson
{
    /// <summary>A descriptor of a thousand parameters is far shorter.</summary>
    public const int MaxBytes = 1 << 20;

    /// <summary>Of each list of a descriptor: with it a verdict, too, stays within what a reply carries.</summary>
    public const int MaxEntries = 1024;

    public static byte[] Write(SetupRecord record) =>
        JsonSerializer.SerializeToUtf8Bytes(record, SetupJsonContext.Default.SetupRecord);

    public static byte[] Write(DeviceDescriptor descriptor) =>
        JsonSerializer.SerializeToUtf8Bytes(descriptor, SetupJsonContext.Default.DeviceDescriptor);

    public static byte[] Write(Verdict verdict) =>
        JsonSerializer.SerializeToUtf8Bytes(verdict, SetupJsonContext.Default.Verdict);

    /// <exception cref="JsonException">no such record; the message names the place.</exception>
    public static SetupRecord ReadRecord(ReadOnlySpan<byte> json)
    {
        var record = JsonSerializer.Deserialize(Bounded(json), SetupJsonContext.Default.SetupRecord)
            ?? throw new JsonException("a setup record is not null");
        Check(record.Descriptor);
        return record;
    }

    /// <exception cref="JsonException">no such descriptor; the message names the place.</exception>
    public static DeviceDescriptor ReadDescriptor(ReadOnlySpan<byte> json)
    {
        var descriptor = JsonSerializer.Deserialize(Bounded(json), SetupJsonContext.Default.DeviceDescriptor)
            ?? throw new JsonException("a descriptor is not null");
        Check(descriptor);
        return descriptor;
    }

    /// <exception cref="JsonException">no such verdict; the message names the place.</exception>
    public static Verdict ReadVerdict(ReadOnlySpan<byte> json) =>
        JsonSerializer.Deserialize(json, SetupJsonContext.Default.Verdict)
        ?? throw new JsonException("a verdict is not null");

    private static ReadOnlySpan<byte> Bounded(ReadOnlySpan<byte> json) =>
        json.Length <= MaxBytes ? json : throw new JsonException($"{json.Length} bytes are more than {MaxBytes}");

    private static void Check(DeviceDescriptor descriptor)
    {
        ReadOnlySpan<(string Name, int Count)> lists =
        [
            ("regions", descriptor.Regions.Count), ("interrupts", descriptor.Interrupts.Count),
            ("configCapabilities", descriptor.ConfigCapabilities.Count), ("parameters", descriptor.Parameters.Count),
            ("lists.self", descriptor.Lists?.Self.Count ?? 0), ("lists.compatible", descriptor.Lists?.Compatible.Count ?? 0),
            ("streamFormatsWritten", descriptor.StreamFormatsWritten.Count), ("streamFormatsRead", descriptor.StreamFormatsRead.Count),
            ("sectionsWritten", descriptor.SectionsWritten.Count), ("sectionsRead", descriptor.SectionsRead.Count),
        ];
        foreach (var (name, count) in lists)
            if (count > MaxEntries) throw new JsonException($"{name} has {count} entries, more than {MaxEntries}");
    }
}

[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true,
    UseStringEnumConverter = true, AllowDuplicateProperties = false, MaxDepth = 16)]
[JsonSerializable(typeof(SetupRecord))]
[JsonSerializable(typeof(DeviceDescriptor))]
[JsonSerializable(typeof(Verdict))]
internal sealed partial class SetupJsonContext : JsonSerializerContext;
