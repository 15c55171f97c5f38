namespace MigrationCluster.Chaos.Exploration;

/// <summary>
/// Every state seen, in full: two states are the same only if all their numbers are. No state is taken for another because
/// their hashes agree, so nothing is left out by accident. States keep the order they came in, which makes an
/// index range the frontier of a breadth-first search.
/// </summary>
/// <param name="width">numbers in a state.</param>
internal sealed class StateTable(int width)
{
    private const int ChunkStates = 1 << 16;

    private readonly List<int[]> _chunks = [];
    private readonly List<int[]> _hashes = [];
    private int[] _slots = NewSlots(1 << 16);

    public int Count { get; private set; }

    public ReadOnlySpan<int> this[int index] =>
        _chunks[index / ChunkStates].AsSpan(index % ChunkStates * width, width);

    /// <returns>whether it is new.</returns>
    public bool TryAdd(ReadOnlySpan<int> state, out int index)
    {
        int hash = HashOf(state);
        int slot = hash & (_slots.Length - 1);
        for (; _slots[slot] >= 0; slot = (slot + 1) & (_slots.Length - 1))
        {
            index = _slots[slot];
            if (_hashes[index / ChunkStates][index % ChunkStates] == hash && this[index].SequenceEqual(state)) return false;
        }

        index = Count++;
        if (index % ChunkStates == 0)
        {
            _chunks.Add(new int[ChunkStates * width]);
            _hashes.Add(new int[ChunkStates]);
        }

        state.CopyTo(_chunks[^1].AsSpan(index % ChunkStates * width));
        _hashes[^1][index % ChunkStates] = hash;
        _slots[slot] = index;
        if (Count * 2L > _slots.Length) Grow();
        return true;
    }

    private static int HashOf(ReadOnlySpan<int> state)
    {
        ulong hash = 14695981039346656037;
        foreach (int number in state) hash = (hash ^ (uint)number) * 0x9E3779B97F4A7C15 + (hash >> 29);
        return (int)(hash ^ (hash >> 32));
    }

    private void Grow()
    {
        _slots = NewSlots(_slots.Length * 2);
        for (int index = 0; index < Count; index++)
        {
            int slot = _hashes[index / ChunkStates][index % ChunkStates] & (_slots.Length - 1);
            while (_slots[slot] >= 0) slot = (slot + 1) & (_slots.Length - 1);
            _slots[slot] = index;
        }
    }

    private static int[] NewSlots(int length)
    {
        int[] slots = new int[length];
        Array.Fill(slots, -1);
        return slots;
    }
}
