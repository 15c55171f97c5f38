using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>Reads the value that the reader stands on.</summary>
internal delegate T ValueReader<T>(ref BoundedJsonReader json);

/// <summary>
/// A forward reader over untrusted JSON with a limit on everything and the place of what is wrong. Within, a refusal is an exception,
/// because the reader below it throws too; it ends in <see cref="TryRead"/>, and no caller sees one.
/// </summary>
internal ref struct BoundedJsonReader
{
    /// <summary>A character takes at most this many bytes of JSON: \uXXXX.</summary>
    private const int BytesPerCharacter = 6;

    private readonly List<string> _path = ["$"];
    private Utf8JsonReader _reader;

    private BoundedJsonReader(ReadOnlySpan<byte> json) =>
        _reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = DescriptorLimits.Depth });

    public static bool TryRead<T>(
        ReadOnlySpan<byte> json, ValueReader<T> read, [NotNullWhen(true)] out T? value, [NotNullWhen(false)] out JsonRefusal? refusal)
        where T : class
    {
        (value, refusal) = (null, null);
        if (json.Length > DescriptorLimits.Bytes)
            refusal = new JsonRefusal("json.too-long", "$", $"{json.Length} bytes; at most {DescriptorLimits.Bytes} are read");
        else if (!Utf8.IsValid(json))
            refusal = new JsonRefusal("json.not-utf8", "$", "the text is not UTF-8");
        if (refusal is not null) return false;
        var reader = new BoundedJsonReader(json);
        try
        {
            reader._reader.Read();
            value = read(ref reader);
            reader._reader.Read(); // throws where anything follows
            return true;
        }
        catch (RefusedException e)
        {
            refusal = new JsonRefusal(e.Code, reader.Path, e.Message);
        }
        catch (JsonException e)
        {
            refusal = reader._reader.CurrentDepth >= DescriptorLimits.Depth - 1 // it stands on the last opening that is allowed
                ? new JsonRefusal("json.too-deep", reader.Path, $"nested deeper than {DescriptorLimits.Depth}")
                : new JsonRefusal("json.malformed", reader.Path, e.Message);
        }
        value = null;
        return false;
    }

    public readonly bool IsNull => _reader.TokenType == JsonTokenType.Null;

    private readonly string Path => string.Concat(_path);

    /// <summary>Starts an object; <see cref="NextField"/> then stands on one field's value after the other.</summary>
    public readonly JsonFields BeginObject(string[] names, int required)
    {
        Expect(JsonTokenType.StartObject, "an object");
        _path.Add("");
        return new JsonFields(names, required);
    }

    /// <returns>false: the object has ended, and every required field was there. Fields without a name here are skipped.</returns>
    public bool NextField(ref JsonFields fields, out int field)
    {
        while (true)
        {
            _reader.Read();
            if (_reader.TokenType == JsonTokenType.EndObject)
            {
                _path[^1] = "";
                if (fields.Missing is { } missing) throw Refuse("json.missing", $"'{missing}' is missing");
                _path.RemoveAt(_path.Count - 1);
                field = -1;
                return false;
            }
            field = fields.IndexOf(ref _reader);
            string name = field < 0 ? Text(DescriptorLimits.Name) : fields.Name(field);
            _path[^1] = $".{name}";
            if (!fields.Add(field, name)) throw Refuse("json.duplicate", "this field stands there twice");
            if (fields.UnknownCount > DescriptorLimits.UnknownFields)
                throw Refuse("json.too-many", $"more than {DescriptorLimits.UnknownFields} unknown fields");
            _reader.Read();
            if (field >= 0) return true;
            Skip();
        }
    }

    public IReadOnlyList<T> List<T>(int limit, ValueReader<T> read, Func<T, object>? distinctBy = null)
    {
        Expect(JsonTokenType.StartArray, "a list");
        var items = new List<T>();
        var seen = new HashSet<object>();
        _path.Add("");
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndArray)
        {
            _path[^1] = $"[{items.Count}]";
            if (items.Count == limit) throw Refuse("json.too-many", $"more than {limit} elements");
            items.Add(read(ref this));
            if (distinctBy?.Invoke(items[^1]) is { } key && !seen.Add(key)) throw Refuse("json.duplicate", $"'{key}' stands there twice");
        }
        _path.RemoveAt(_path.Count - 1);
        return items;
    }

    /// <summary>An object whose field names are data.</summary>
    public IReadOnlyDictionary<string, string> Dictionary(int limit)
    {
        Expect(JsonTokenType.StartObject, "an object");
        var items = new Dictionary<string, string>();
        _path.Add("");
        while (_reader.Read() && _reader.TokenType != JsonTokenType.EndObject)
        {
            string name = Text(DescriptorLimits.Name);
            _path[^1] = $".{name}";
            if (items.Count == limit) throw Refuse("json.too-many", $"more than {limit} attributes");
            _reader.Read();
            if (!items.TryAdd(name, String(DescriptorLimits.Text))) throw Refuse("json.duplicate", "this attribute stands there twice");
        }
        _path.RemoveAt(_path.Count - 1);
        return items;
    }

    public readonly string String(int limit)
    {
        Expect(JsonTokenType.String, "a text");
        return Text(limit);
    }

    public readonly bool Boolean() => _reader.TokenType is JsonTokenType.True or JsonTokenType.False
        ? _reader.GetBoolean() : throw WrongType("true or false");

    public readonly int Int32(int minimum, int maximum)
    {
        Expect(JsonTokenType.Number, "a number");
        return _reader.TryGetInt32(out int number) && number >= minimum && number <= maximum
            ? number : throw Refuse("json.out-of-range", $"no whole number from {minimum} to {maximum}");
    }

    public readonly ulong UInt64(ulong minimum)
    {
        Expect(JsonTokenType.Number, "a number");
        return _reader.TryGetUInt64(out ulong number) && number >= minimum
            ? number : throw Refuse("json.out-of-range", $"no whole number from {minimum} to {ulong.MaxValue}");
    }

    /// <summary>One name of an enum; never its number.</summary>
    public readonly T Enum<T>() where T : struct, Enum => Member<T>(String(DescriptorLimits.Name));

    /// <summary>Names of a flags enum between commas.</summary>
    public readonly T Flags<T>() where T : struct, Enum
    {
        ulong flags = 0;
        foreach (string name in String(DescriptorLimits.Name).Split(',', StringSplitOptions.TrimEntries))
            flags |= Convert.ToUInt64(Member<T>(name), null);
        return (T)System.Enum.ToObject(typeof(T), flags);
    }

    public static Exception Refuse(string code, string what) => new RefusedException(code, what);

    private static T Member<T>(string name) where T : struct, Enum => System.Enum.GetNames<T>().Contains(name)
        ? System.Enum.Parse<T>(name)
        : throw Refuse("json.unknown-value", $"'{name}' is none of {string.Join(", ", System.Enum.GetNames<T>())}");

    /// <summary>As the reader's own, which forgets how deep it was when it fails.</summary>
    private void Skip()
    {
        if (_reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.StartArray)) return;
        int depth = _reader.CurrentDepth;
        do _reader.Read();
        while (_reader.CurrentDepth > depth);
    }

    private readonly string Text(int limit)
    {
        if (_reader.ValueSpan.Length > limit * BytesPerCharacter) throw TooLong(limit);
        string text;
        try
        {
            text = _reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw Refuse("json.bad-text", "half a surrogate pair");
        }
        if (text.Length > limit) throw TooLong(limit);
        return text.Any(char.IsControl) ? throw Refuse("json.bad-text", "a control character") : text;
    }

    private static Exception TooLong(int limit) => Refuse("json.too-long", $"longer than {limit} characters");

    private readonly void Expect(JsonTokenType type, string what)
    {
        if (_reader.TokenType != type) throw WrongType(what);
    }

    private readonly Exception WrongType(string what) => IsNull
        ? Refuse("json.null", $"null is not allowed here, {what} is expected")
        : Refuse("json.wrong-type", $"{_reader.TokenType} instead of {what}");

    private sealed class RefusedException(string code, string what) : Exception(what)
    {
        public string Code { get; } = code;
    }
}
