using System.Globalization;
using MigrationCluster.Protocol.Coordinator;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>What the runs of many seeds came to.</summary>
internal sealed class SimulationTotals
{
    private readonly Lock _sync = new();
    private readonly SortedDictionary<MigrationPhase, long> _outcomes = [];
    private TimeSpan _virtual;
    private long _events;

    /// <summary>Of all traces, in any order: seeds may run side by side.</summary>
    public ulong Hash { get; private set; }

    public long Seeds { get; private set; }

    /// <summary>Guests whose last complete copy a fault took.</summary>
    public long Lost { get; private set; }

    public void Add(int seed, SimulatedFleet fleet)
    {
        lock (_sync)
        {
            Seeds++;
            Lost += fleet.Lost;
            _virtual += fleet.Elapsed;
            _events += fleet.Events;
            Hash ^= fleet.Hash * ((ulong)(uint)seed * 2 + 1);
            foreach (var phase in fleet.Outcomes) _outcomes[phase] = _outcomes.GetValueOrDefault(phase) + 1;
        }
    }

    public string Describe(TimeSpan wall, int violations)
    {
        lock (_sync)
            return string.Create(CultureInfo.InvariantCulture,
                $"{Seeds:N0} seeds, {violations} violations; {_virtual.TotalHours:N1} h of virtual time in {wall.TotalSeconds:N1} s, " +
                $"{(wall > TimeSpan.Zero ? _virtual / wall : 0):N0} times as fast; {_events:N0} events; trace {Hash:x16}") +
                Environment.NewLine + "migrations: " + string.Join(", ", _outcomes.Select(pair =>
                    string.Create(CultureInfo.InvariantCulture, $"{pair.Value:N0} {pair.Key}"))) +
                string.Create(CultureInfo.InvariantCulture, $"; guests whose last copy a fault took: {Lost:N0}");
    }
}
