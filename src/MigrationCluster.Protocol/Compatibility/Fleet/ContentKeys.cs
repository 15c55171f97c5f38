namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// Numbers things by their content, from 0 in the order they come: two with the same number are equal. (A descriptor holds lists, which
/// records compare by reference.) What is written is unambiguous: every text carries its length.
/// </summary>
internal sealed class ContentKeys
{
    private readonly Dictionary<string, int> _numbers = new(StringComparer.Ordinal);
    private char[] _text = new char[256];
    private int _length;

    internal int Count => _numbers.Count;

    /// <summary>Ends what was written since the last call.</summary>
    /// <param name="isNew">the content was not seen before.</param>
    internal int Number(out bool isNew)
    {
        var written = _text.AsSpan(0, _length);
        _length = 0;
        var byText = _numbers.GetAlternateLookup<ReadOnlySpan<char>>();
        isNew = !byText.TryGetValue(written, out int number);
        if (isNew) byText[written] = number = _numbers.Count;
        return number;
    }

    internal void Write(string? text)
    {
        Write(text is null ? ulong.MaxValue : (ulong)text.Length);
        if (text is null) return;
        Need(text.Length);
        text.CopyTo(_text.AsSpan(_length));
        _length += text.Length;
    }

    internal void Write(ulong number)
    {
        // One char for nearly all of them, four behind a mark for the others.
        Need(5);
        if (number < char.MaxValue)
        {
            _text[_length++] = (char)number;
            return;
        }
        _text[_length++] = char.MaxValue;
        for (int shift = 0; shift < 64; shift += 16) _text[_length++] = (char)(number >> shift);
    }

    internal void Write(IReadOnlyList<string> texts)
    {
        Write((ulong)texts.Count);
        foreach (string text in texts) Write(text);
    }

    private void Need(int more)
    {
        if (_length + more > _text.Length) Array.Resize(ref _text, Math.Max(_text.Length * 2, _length + more));
    }
}
