using System.Diagnostics;
using System.Globalization;

namespace MigrationCluster.Benchmarks.DataPlane;

/// <summary>
/// Pieces of work that are measured against each other: all of them once a round, each round from another start, so that whatever
/// else this machine does falls on all of them alike.
/// </summary>
internal sealed class Contest
{
    private readonly List<Entry> _entries = [];

    /// <param name="bytes">moved by one call of <paramref name="work"/>.</param>
    /// <param name="prepare">before it, not measured.</param>
    /// <param name="othersCpu">CPU time used by other processes that take part.</param>
    internal void Add(
        string name, long bytes, Func<Task> work, Func<Task>? prepare = null, Func<Task>? finish = null,
        Func<TimeSpan>? othersCpu = null) =>
        _entries.Add(new Entry(name, bytes, work, prepare, finish, othersCpu ?? (() => TimeSpan.Zero)));

    internal async Task RunAsync(int warmUps, int rounds, CancellationToken cancellationToken)
    {
        for (int round = -warmUps; round < rounds; round++)
            for (int i = 0; i < _entries.Count; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                await _entries[(i + round + warmUps) % _entries.Count].RunAsync(keep: round >= 0);
            }
    }

    /// <summary>Leaves out what is called by none of these words: a whole name, or else a part of some.</summary>
    internal void Keep(IReadOnlyCollection<string> words)
    {
        var names = _entries.Select(entry => entry.Name).ToHashSet();
        _entries.RemoveAll(entry => !words.Any(
            word => names.Contains(word) ? entry.Name == word : entry.Name.Contains(word, StringComparison.Ordinal)));
    }

    internal double Rate(string name) => Figures.Median(Of(name).Rates);

    /// <summary>The median over the rounds of one's rate divided by the other's.</summary>
    internal double Ratio(string name, string to) =>
        Figures.Median([.. Of(name).Rates.Zip(Of(to).Rates, (one, other) => one / other)]);

    internal void Print(TextWriter output)
    {
        output.WriteLine($"  {"",-42} {"GB/s",7}   {"lowest",7} {"highest",7}   {"CPU-s/GB",8}");
        foreach (var entry in _entries)
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"  {entry.Name,-42} {Figures.Median(entry.Rates),7:0.00}   {entry.Rates.Min(),7:0.00} {entry.Rates.Max(),7:0.00}   {Figures.Median(entry.Cpu),8:0.000}"));
    }

    private Entry Of(string name) => _entries.Single(entry => entry.Name == name);

    private sealed record Entry(
        string Name, long Bytes, Func<Task> Work, Func<Task>? Prepare, Func<Task>? Finish, Func<TimeSpan> OthersCpu)
    {
        internal List<double> Rates { get; } = [];

        internal List<double> Cpu { get; } = [];

        internal async Task RunAsync(bool keep)
        {
            if (Prepare is not null) await Prepare();
            GC.Collect();
            var cpu = Environment.CpuUsage.TotalTime + OthersCpu();
            long start = Stopwatch.GetTimestamp();
            await Work();
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            cpu = Environment.CpuUsage.TotalTime + OthersCpu() - cpu;
            if (Finish is not null) await Finish();
            if (!keep) return;
            Rates.Add(Bytes / seconds / 1e9);
            Cpu.Add(cpu.TotalSeconds / (Bytes / 1e9));
        }
    }
}
