using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>Gives equal values the same small number. Equal is what reads the same: records that hold lists are not equal by value.</summary>
internal sealed class Interner<T> where T : class
{
    private readonly List<T?> _values = [null];
    private readonly Dictionary<string, int> _numbers = [];

    public int Count => _values.Count - 1;

    /// <summary>0 stands for none.</summary>
    public T this[int number] => _values[number]!;

    public int Of(T? value)
    {
        if (value is null) return 0;
        string key = Key.Of(value);
        if (_numbers.TryGetValue(key, out int known)) return known;
        _numbers[key] = _values.Count;
        _values.Add(value);
        return _values.Count - 1;
    }
}

/// <summary>A value as text: its type and everything it was constructed with, nothing it computes.</summary>
internal static class Key
{
    private static readonly JsonSerializerOptions Options = new()
    {
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { DropComputed } },
    };

    public static string Of(object value) => $"{value.GetType().Name} {JsonSerializer.Serialize(value, value.GetType(), Options)}";

    private static void DropComputed(JsonTypeInfo type)
    {
        for (int i = type.Properties.Count - 1; i >= 0; i--)
            if (type.Properties[i].Set is null)
                type.Properties.RemoveAt(i);
    }
}
