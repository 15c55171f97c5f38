using System.Diagnostics.CodeAnalysis;

namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>
/// A vendor's own document: <c>{"self":[{…}],"compatible":[{…},…]}</c>, every value a text. It is the thread's proposal with its missing
/// commas; docs/compatibility.md has the transcription. Read under the limits of a descriptor.
/// </summary>
public static class CompatibilityListsJson
{
    private static readonly string[] Fields = ["self", "compatible"];

    public static bool TryRead(
        ReadOnlySpan<byte> json, [NotNullWhen(true)] out CompatibilityLists? lists, [NotNullWhen(false)] out JsonRefusal? refusal) =>
        BoundedJsonReader.TryRead(json, Read, out lists, out refusal);

    internal static CompatibilityLists Read(ref BoundedJsonReader json)
    {
        var lists = new CompatibilityLists([], []);
        var fields = json.BeginObject(Fields, required: Fields.Length);
        while (json.NextField(ref fields, out int field))
            lists = field == 0
                ? lists with { Self = json.List(DescriptorLimits.SelfSets, Attributes) }
                : lists with { Compatible = json.List(DescriptorLimits.CompatibleSets, Attributes) };
        return lists;
    }

    private static IReadOnlyDictionary<string, string> Attributes(ref BoundedJsonReader json) =>
        json.Dictionary(DescriptorLimits.Attributes);
}
