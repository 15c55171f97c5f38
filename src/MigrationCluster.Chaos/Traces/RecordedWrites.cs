using System.Globalization;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Chaos.Traces;

/// <summary>
/// What a running guest wrote, as <see cref="RecordCommand"/> has read it from its dirty logs; after its end it begins anew.
/// The file is text, a line a log that was not empty:
///
/// <code>
///   mc-trace 1 GUEST RAM-BYTES
///   MILLISECONDS DEVICE FIRST+COUNT FIRST+COUNT …       pages, of what was written until then since the reading before
/// </code>
/// </summary>
internal sealed class RecordedWrites : IWrites
{
    public const string Magic = "mc-trace 1";
    public const int PageBytes = 4096;

    private readonly List<Slot> _slots = [];
    private readonly int[] _seenIn; // the question that met a page last
    private int _question;

    private RecordedWrites(string guest, long ramBytes) => (Guest, RamBytes, _seenIn) = (guest, ramBytes, new int[ramBytes / PageBytes]);

    public string Guest { get; }

    public long RamBytes { get; }

    public double Seconds => _slots.Count == 0 ? 0 : _slots[^1].End;

    /// <exception cref="FormatException">names the file, the line, and what is wrong with it.</exception>
    public static RecordedWrites Read(string path)
    {
        using var reader = File.OpenText(path);
        int line = 1;
        RecordedWrites? trace = null;
        for (string? text; (text = reader.ReadLine()) is not null; line++)
        {
            try
            {
                if (trace is null) trace = ReadHead(text);
                else trace.Add(text.Split(' '));
            }
            catch (Exception e) when (e is FormatException or OverflowException)
            {
                throw new FormatException($"{path}, line {line}: {e.Message}");
            }
        }

        return trace is { _slots.Count: > 0 } ? trace : throw new FormatException($"{path} records no writes");
    }

    public double Distinct(double from, double to, bool dmaOnly = false)
    {
        if (to - from >= Seconds) (from, to) = (0, Seconds); // once is enough
        _question++;
        double pages = 0, round = Math.Floor(from / Seconds) * Seconds;
        for (int i = FindSlot(from - round); ; i++)
        {
            if (i == _slots.Count) (i, round) = (0, round + Seconds);
            var slot = _slots[i];
            double begin = round + slot.Begin, end = round + slot.End;
            if (begin >= to) return pages * PageBytes;
            // Of a reading that is only partly within, as large a part of what nothing else has met.
            double share = (Math.Min(to, end) - Math.Max(from, begin)) / (end - begin);
            if (share <= 0) continue;
            pages += share * CountNew(slot.ByVcpus, !dmaOnly) + share * CountNew(slot.ByDevices, true);
        }
    }

    private int CountNew(List<int> pages, bool wanted)
    {
        if (!wanted) return 0;
        int met = 0;
        foreach (int page in pages)
        {
            if (_seenIn[page] == _question) continue;
            _seenIn[page] = _question;
            met++;
        }

        return met;
    }

    /// <summary>The slot in which a moment of the recording lies.</summary>
    private int FindSlot(double seconds)
    {
        int low = 0, high = _slots.Count - 1;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_slots[middle].End <= seconds) low = middle + 1;
            else high = middle;
        }

        return low;
    }

    private static RecordedWrites ReadHead(string text)
    {
        string[] words = text.Split(' ');
        return text.StartsWith(Magic + " ", StringComparison.Ordinal) && words.Length == 4
            && long.TryParse(words[3], CultureInfo.InvariantCulture, out long ram) && ram is > 0 and <= (long)int.MaxValue * PageBytes
            ? new RecordedWrites(words[2], ram)
            : throw new FormatException($"\"{text}\" is not \"{Magic} GUEST RAM-BYTES\"");
    }

    private void Add(string[] words)
    {
        double end = double.Parse(words[0], CultureInfo.InvariantCulture) / 1000;
        if (!(end >= Seconds) || !double.IsFinite(end)) throw new FormatException($"{words[0]} ms do not follow {Seconds * 1000} ms");
        if (words.Length < 3) throw new FormatException("a reading is \"MILLISECONDS DEVICE FIRST+COUNT …\"");
        if (end > Seconds) _slots.Add(new Slot(Seconds, end));
        if (_slots.Count == 0) throw new FormatException("nothing is read in the moment it begins");
        var pages = words[1] == DeviceName.Machine.Value ? _slots[^1].ByVcpus : _slots[^1].ByDevices;
        foreach (string run in words.AsSpan(2))
        {
            string[] parts = run.Split('+');
            if (parts.Length != 2 || !int.TryParse(parts[0], CultureInfo.InvariantCulture, out int first)
                || !int.TryParse(parts[1], CultureInfo.InvariantCulture, out int count) || first < 0 || count <= 0 || first > _seenIn.Length - count)
                throw new FormatException($"\"{run}\" is no run FIRST+COUNT of {_seenIn.Length} pages");
            pages.AddRange(Enumerable.Range(first, count));
        }
    }

    private sealed record Slot(double Begin, double End)
    {
        public List<int> ByVcpus { get; } = [];

        public List<int> ByDevices { get; } = [];
    }
}
