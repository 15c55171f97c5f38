namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Sets written as text: members between commas, order and blanks without meaning, empty members none.</summary>
internal static class TextSet
{
    /// <summary>From here on an index is cheaper, and two long sets do not cost the product of their lengths.</summary>
    private const int LongText = 256;

    public static bool IsEmpty(ReadOnlySpan<char> set) => set.Trim(", \t").IsEmpty;

    public static bool IsSubset(string members, string set)
    {
        if (members == set) return true;
        if (set.Length > LongText) return AllIndexed(members, set.Split(',', StringSplitOptions.TrimEntries));
        foreach (var range in members.AsSpan().Split(','))
            if (members.AsSpan(range).Trim() is { IsEmpty: false } member && !HasMember(set, member)) return false;
        return true;
    }

    public static bool AllIn(string members, IReadOnlyList<string> values)
    {
        if (values.Count > LongText) return AllIndexed(members, values.Select(value => value.Trim()));
        foreach (var range in members.AsSpan().Split(','))
            if (members.AsSpan(range).Trim() is { IsEmpty: false } member && !Contains(values, member)) return false;
        return true;
    }

    private static bool AllIndexed(string members, IEnumerable<string> values)
    {
        var known = values.ToHashSet(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        foreach (var range in members.AsSpan().Split(','))
            if (members.AsSpan(range).Trim() is { IsEmpty: false } member && !known.Contains(member)) return false;
        return true;
    }

    private static bool HasMember(ReadOnlySpan<char> set, ReadOnlySpan<char> member)
    {
        foreach (var range in set.Split(','))
            if (set[range].Trim().SequenceEqual(member)) return true;
        return false;
    }

    private static bool Contains(IReadOnlyList<string> values, ReadOnlySpan<char> member)
    {
        for (int i = 0; i < values.Count; i++)
            if (values[i].AsSpan().Trim().SequenceEqual(member)) return true;
        return false;
    }
}
