using System.Globalization;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>What happened in a run: a hash of all of it, which tells whether two runs were the same, and, asked for, its story.</summary>
internal sealed class Trace(bool tells)
{
    private readonly List<(long Ticks, string Line)> _story = [];

    public ulong Hash { get; private set; } = 14695981039346656037;

    /// <summary>Whether anybody will read the story; it is not told otherwise.</summary>
    public bool Tells => tells;

    public IEnumerable<string> Story => _story.Select(said =>
        string.Create(CultureInfo.InvariantCulture, $"{said.Ticks / (double)TimeSpan.TicksPerSecond,9:F3} s  {said.Line}"));

    public void Mix(long value)
    {
        ulong hash = Hash;
        for (int shift = 0; shift < 64; shift += 16) hash = (hash ^ ((ulong)value >> shift & 0xffff)) * 1099511628211;
        Hash = hash;
    }

    public void Mix(string text)
    {
        ulong hash = Hash;
        foreach (char c in text) hash = (hash ^ c) * 1099511628211;
        Hash = hash;
    }

    public void Say(long ticks, string line)
    {
        Mix(line);
        Detail(ticks, line);
    }

    /// <summary>No part of the hash: made only where it is read.</summary>
    public void Detail(long ticks, string line)
    {
        if (tells) _story.Add((ticks, line));
    }
}
