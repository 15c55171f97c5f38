namespace MigrationCluster.Chaos.Exploration;

/// <summary>Gives equal sequences of numbers the same small number: unread events, messages in flight, late answers.</summary>
internal sealed class Sequences
{
    private readonly List<int[]> _values = [[]];
    private readonly Dictionary<int[], int> _numbers = new(new ByContent()) { [[]] = 0 };
    private readonly Dictionary<long, int> _appended = [];
    private readonly Dictionary<long, int> _inserted = [];
    private readonly Dictionary<long, int> _removed = [];

    /// <summary>0 is the empty one.</summary>
    public ReadOnlySpan<int> this[int number] => _values[number];

    public int Append(int number, int item) => Derive(_appended, number, item, old => [.. old, item]);

    /// <summary>As a set: in order, once.</summary>
    public int Insert(int number, int item) => Derive(_inserted, number, item, old => [.. old.Append(item).Distinct().Order()]);

    public int RemoveAt(int number, int index) => Derive(_removed, number, index,
        old => [.. old.Where((_, i) => i != index)]);

    public int Of(int[] value)
    {
        if (_numbers.TryGetValue(value, out int known)) return known;
        _numbers[value] = _values.Count;
        _values.Add(value);
        return _values.Count - 1;
    }

    private int Derive(Dictionary<long, int> memo, int number, int item, Func<int[], int[]> make)
    {
        long key = ((long)number << 32) | (uint)item;
        if (!memo.TryGetValue(key, out int made)) memo[key] = made = Of(make(_values[number]));
        return made;
    }

    private sealed class ByContent : IEqualityComparer<int[]>
    {
        public bool Equals(int[]? x, int[]? y) => x.AsSpan().SequenceEqual(y);

        public int GetHashCode(int[] obj)
        {
            var hash = default(HashCode);
            foreach (int item in obj) hash.Add(item);
            return hash.ToHashCode();
        }
    }
}
