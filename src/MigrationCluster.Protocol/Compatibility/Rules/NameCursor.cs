namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Finds items by name in a list that is mostly in the order in which it is asked. Two devices of a kind list their parameters
/// in the same order, so a look-up is one comparison and needs no index; only a long list gets one, against hostile descriptors.
/// </summary>
internal struct NameCursor<T>(IReadOnlyList<T> items, Func<T, string> nameOf) where T : class
{
    private const int LongList = 32;

    private int _next;
    private Dictionary<string, T>? _byName;

    public T? Find(string name)
    {
        int count = items.Count;
        if (_next < count && items[_next] is var expected && nameOf(expected) == name)
        {
            _next++;
            return expected;
        }
        if (count > LongList) return Indexed().GetValueOrDefault(name);
        for (int i = 0; i < count; i++)
            if (nameOf(items[i]) == name)
            {
                _next = i + 1;
                return items[i];
            }
        return null;
    }

    private Dictionary<string, T> Indexed()
    {
        if (_byName is { } known) return known;
        var byName = new Dictionary<string, T>(items.Count);
        foreach (var item in items) byName.TryAdd(nameOf(item), item);
        return _byName = byName;
    }
}
