using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>
/// Device descriptors as UTF-8 JSON, camelCase. They come from other hosts, from device servers and from files: reading holds
/// <see cref="DescriptorLimits"/>, and a bad text is a named reason with its place. Fields that this version does not know are
/// skipped, so that a newer host can say more.
/// </summary>
public static class DescriptorJson
{
    private static readonly string[] Fields =
    [
        "kind", "identity", "regions", "interrupts", "configCapabilities", "driver", "model", "parameters", "lists", "interfaceVersion",
        "versionString", "streamFormatsWritten", "streamFormatsRead", "sectionsWritten", "sectionsRead", "capabilities",
    ];

    public static byte[] Write(DeviceDescriptor descriptor) =>
        JsonSerializer.SerializeToUtf8Bytes(descriptor, DescriptorJsonContext.Default.DeviceDescriptor);

    public static bool TryRead(
        ReadOnlySpan<byte> json, [NotNullWhen(true)] out DeviceDescriptor? descriptor, [NotNullWhen(false)] out JsonRefusal? refusal) =>
        BoundedJsonReader.TryRead(json, Read, out descriptor, out refusal);

    internal static DeviceDescriptor Read(ref BoundedJsonReader json)
    {
        var read = DeviceDescriptor.Empty(default);
        var fields = json.BeginObject(Fields, required: Fields.Length);
        while (json.NextField(ref fields, out int field))
            read = field switch
            {
                0 => read with { Kind = json.Enum<DescriptorKind>() },
                1 => read with { Identity = json.IsNull ? null : DescriptorParts.Identity(ref json) },
                2 => read with { Regions = json.List(DescriptorLimits.Regions, DescriptorParts.Region, region => region.Index) },
                3 => read with { Interrupts = json.List(DescriptorLimits.Interrupts, DescriptorParts.Interrupt, interrupt => interrupt.Index) },
                4 => read with { ConfigCapabilities = json.List(DescriptorLimits.ConfigCapabilities, DescriptorParts.ConfigCapability) },
                5 => read with { Driver = json.IsNull ? null : DescriptorParts.Driver(ref json) },
                6 => read with { Model = json.IsNull ? null : json.String(DescriptorLimits.Name) },
                7 => read with { Parameters = json.List(DescriptorLimits.Parameters, ParameterJson.Read, parameter => parameter.Name) },
                8 => read with { Lists = json.IsNull ? null : CompatibilityListsJson.Read(ref json) },
                9 => read with { InterfaceVersion = json.IsNull ? null : DescriptorParts.Version(ref json) },
                10 => read with { VersionString = json.IsNull ? null : json.String(DescriptorLimits.Text) },
                11 => read with { StreamFormatsWritten = DescriptorParts.Names(ref json, DescriptorLimits.StreamFormats) },
                12 => read with { StreamFormatsRead = DescriptorParts.Names(ref json, DescriptorLimits.StreamFormats) },
                13 => read with { SectionsWritten = json.List(DescriptorLimits.Sections, DescriptorParts.Section, section => section.Name) },
                14 => read with { SectionsRead = DescriptorParts.Names(ref json, DescriptorLimits.Sections) },
                _ => read with { Capabilities = json.IsNull ? null : json.Flags<MigrationCapabilities>() },
            };
        return read;
    }
}

[JsonSourceGenerationOptions(JsonSerializerDefaults.Web, UseStringEnumConverter = true)]
[JsonSerializable(typeof(DeviceDescriptor))]
internal sealed partial class DescriptorJsonContext : JsonSerializerContext;
