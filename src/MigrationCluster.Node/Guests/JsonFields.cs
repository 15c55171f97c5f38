using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Node.Guests;

/// <summary>Reads one JSON object field by field and notes everything that is wrong with it, by JSON path.</summary>
internal sealed class JsonFields
{
    private readonly Dictionary<string, JsonElement> _fields = [];
    private readonly HashSet<string> _known = [];
    private readonly List<Reason> _reasons;
    private readonly bool _isObject;

    public JsonFields(JsonElement element, string path, List<Reason> reasons)
    {
        (Path, _reasons) = (path, reasons);
        _isObject = element.ValueKind == JsonValueKind.Object;
        if (!_isObject)
        {
            Wrong(path, $"is {Kind(element)}, not an object", "write an object");
            return;
        }

        foreach (var field in element.EnumerateObject())
            if (!_fields.TryAdd(field.Name, field.Value))
                Wrong($"{path}.{field.Name}", "is given twice", "give it once");
    }

    public string Path { get; }

    public string? String(string name) => Read(name, JsonValueKind.String, "a string") is { } value ? value.GetString() : null;

    public int? Integer(string name, int least, int most)
    {
        if (Read(name, JsonValueKind.Number, "a whole number") is not { } value) return null;
        if (!value.TryGetInt32(out int number))
            Wrong($"{Path}.{name}", $"is {value.GetRawText()}, not a whole number in {least}..{most}", "write a whole number");
        else if (number < least || number > most)
            Wrong($"{Path}.{name}", $"is {number}, outside {least}..{most}", $"choose {least} to {most}");
        else
            return number;
        return null;
    }

    public JsonElement? Object(string name) => Read(name, JsonValueKind.Object, "an object");

    public IReadOnlyList<JsonElement>? Array(string name, bool optional = false)
    {
        if (optional && (!_fields.TryGetValue(name, out var given) || given.ValueKind == JsonValueKind.Null))
        {
            _known.Add(name);
            return [];
        }

        return Read(name, JsonValueKind.Array, "an array") is { } value ? [.. value.EnumerateArray()] : null;
    }

    /// <summary>Absent means false.</summary>
    public bool Flag(string name)
    {
        _known.Add(name);
        if (!_fields.TryGetValue(name, out var value)) return false;
        if (value.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            Wrong($"{Path}.{name}", $"is {Kind(value)}, not true or false", "write true or false");
        return value.ValueKind == JsonValueKind.True;
    }

    /// <summary>Call last: fields nobody asked for are mistakes.</summary>
    public void RefuseOthers()
    {
        foreach (string name in _fields.Keys.Where(name => !_known.Contains(name)))
            Wrong($"{Path}.{name}", "is an unknown field", $"remove it; known are {string.Join(", ", _known)}");
    }

    public void Wrong(string path, string what, string remedy) =>
        _reasons.Add(new Reason(ErrorCodes.BadSpec, $"{path} {what}", remedy));

    public static string Kind(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "an array",
        JsonValueKind.String => "a string",
        JsonValueKind.Number => "a number",
        JsonValueKind.Null => "null",
        _ => "true or false",
    };

    private JsonElement? Read(string name, JsonValueKind kind, string expected)
    {
        _known.Add(name);
        if (!_isObject) return null;
        if (!_fields.TryGetValue(name, out var value)) Wrong($"{Path}.{name}", "is missing", $"add {expected}");
        else if (value.ValueKind != kind) Wrong($"{Path}.{name}", $"is {Kind(value)}, not {expected}", $"write {expected}");
        else return value;
        return null;
    }
}
