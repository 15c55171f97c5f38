namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Finds items by name in a list that is mostly in the order in which it is asked. Two devices of a kind list their parameters
/// in the same order, so a look-up is one comparison and needs no index; only a long list gets one, against hostile descriptors.
/// </summary>
internal ref struct NameCursor<T> where T : class
{
    private const int LongList = 32;

    private readonly ReadOnlySpan<T> _items;
    private readonly Func<T, string> _nameOf;
    private int _next;
    private Dictionary<string, T>? _byName;

    public NameCursor(IReadOnlyList<T> items, Func<T, string> nameOf)
    {
        _items = Items.Of(items);
        _nameOf = nameOf;
    }

    public T? Find(string name)
    {
        if (_next < _items.Length && _items[_next] is var expected && _nameOf(expected) == name)
        {
            _next++;
            return expected;
        }
        if (_items.Length > LongList) return Indexed().GetValueOrDefault(name);
        for (int i = 0; i < _items.Length; i++)
            if (_nameOf(_items[i]) == name)
            {
                _next = i + 1;
                return _items[i];
            }
        return null;
    }

    private Dictionary<string, T> Indexed()
    {
        if (_byName is { } known) return known;
        var byName = new Dictionary<string, T>(_items.Length);
        foreach (var item in _items) byName.TryAdd(_nameOf(item), item);
        return _byName = byName;
    }
}
