using System.Text.Json;

namespace MigrationCluster.Protocol.Compatibility.Json;

/// <summary>The fields of one object: those known here, the required ones first, and which of them have been read.</summary>
internal struct JsonFields(string[] names, int required)
{
    private ulong _read;
    private HashSet<string>? _unknown;

    public readonly int UnknownCount => _unknown?.Count ?? 0;

    /// <summary>The first required field that has not been read; null: none.</summary>
    public readonly string? Missing
    {
        get
        {
            for (int i = 0; i < required; i++)
                if ((_read & 1UL << i) == 0) return names[i];
            return null;
        }
    }

    public readonly string Name(int field) => names[field];

    public readonly int IndexOf(ref Utf8JsonReader reader)
    {
        for (int i = 0; i < names.Length; i++)
            if (reader.ValueTextEquals(names[i])) return i;
        return -1;
    }

    /// <returns>false: it has been read before.</returns>
    public bool Add(int field, string name)
    {
        if (field < 0) return (_unknown ??= []).Add(name);
        bool isNew = (_read & 1UL << field) == 0;
        _read |= 1UL << field;
        return isNew;
    }
}
