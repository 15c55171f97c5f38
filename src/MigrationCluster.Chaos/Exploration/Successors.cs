namespace MigrationCluster.Chaos.Exploration;

/// <summary>The states one state leads to, collected in one buffer that is used again for the next.</summary>
internal sealed class Successors(int width)
{
    private readonly List<Step> _steps = [];
    private int[] _buffer = new int[width * 64];

    public int Count => _steps.Count;

    public Step StepOf(int index) => _steps[index];

    public ReadOnlySpan<int> this[int index] => _buffer.AsSpan(index * width, width);

    public void Clear() => _steps.Clear();

    /// <summary>A copy of a state, to be changed in place before the next is asked for.</summary>
    public Span<int> Add(ReadOnlySpan<int> from, Step step)
    {
        if ((_steps.Count + 1) * width > _buffer.Length) Array.Resize(ref _buffer, _buffer.Length * 2);
        _steps.Add(step);
        var copy = _buffer.AsSpan((_steps.Count - 1) * width, width);
        from.CopyTo(copy);
        return copy;
    }

    /// <summary>The last one turned out to be no step at all.</summary>
    public void TakeBack() => _steps.RemoveAt(_steps.Count - 1);
}
