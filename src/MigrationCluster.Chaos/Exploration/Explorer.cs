using System.Diagnostics;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Protocol.Invariants;

namespace MigrationCluster.Chaos.Exploration;

/// <summary>What a violation was, and the shortest way to it, a line a step.</summary>
internal sealed record Finding(Violation Violation, IReadOnlyList<string> Trace, int Depth);

/// <summary>
/// Breadth first over every state that faults and messages can lead to, so that the first violation found is one with the shortest
/// trace. Every invariant is checked in every state, liveness from every state.
/// </summary>
internal sealed class Explorer
{
    private readonly Space _space;
    private readonly AgentMoves _agents;
    private readonly Moves _moves;
    private readonly Judge _judge;
    private readonly Healing _healing;
    private readonly StateTable _seen;
    private readonly List<int> _parents = [];
    private int _expanded;
    private Finding? _foreseen;

    public Explorer(Configuration configuration, Build build)
    {
        _space = new Space(configuration, build);
        _agents = new AgentMoves(_space);
        var coordinators = new CoordinatorMoves(_space);
        _moves = new Moves(_space, coordinators, _agents);
        _judge = new Judge(_space);
        _healing = new Healing(_space, coordinators, _agents, _moves, _judge);
        _seen = new StateTable(_space.Width);
    }

    public Space Space => _space;

    public int States => _seen.Count;

    /// <summary>Steps from the beginning to the states that are expanded now.</summary>
    public int Depth { get; private set; }

    /// <summary>States that have not been expanded; 0: everything there is has been seen.</summary>
    public int Frontier => _seen.Count - _expanded;

    /// <summary>Distinct states that fault-free continuations went through; every one of them leads to one owner.</summary>
    public int HealedStates => _healing.Remembered;

    /// <summary>How many of the states have the last migration in each phase, as its journal says.</summary>
    public IReadOnlyDictionary<string, int> Phases()
    {
        var phases = new SortedDictionary<string, int>(StringComparer.Ordinal);
        for (int i = 0; i < _seen.Count; i++)
        {
            string phase = _space.Journal(_seen[i], _space.Begun(_seen[i]) - 1).Phase.ToString();
            phases[phase] = phases.GetValueOrDefault(phase) + 1;
        }

        return phases;
    }

    /// <param name="progress">called now and then.</param>
    /// <returns>the first violation, or null.</returns>
    public Finding? Run(long maxStates, Action? progress = null)
    {
        var from = _space.Configuration.From;
        int[] initial = _healing.Continue(_space.Initial(), journal => journal.Phase >= from);
        if (Add(initial, initial, -1) is { } early) return early;
        var successors = new Successors(_space.Width);
        int levelEnd = 1;
        var watch = Stopwatch.StartNew();
        int[] state = new int[_space.Width];
        for (; _expanded < _seen.Count && _seen.Count < maxStates; _expanded++)
        {
            if (_expanded == levelEnd) (Depth, levelEnd) = (Depth + 1, _seen.Count);
            _seen[_expanded].CopyTo(state);
            _moves.Expand(state, successors);
            for (int i = 0; i < successors.Count; i++)
                if (Add(state, successors[i], _expanded) is { } finding)
                    return finding;
            if (watch.Elapsed < TimeSpan.FromSeconds(10)) continue;
            progress?.Invoke();
            watch.Restart();
        }

        return _foreseen;
    }

    private Finding? Add(ReadOnlySpan<int> before, ReadOnlySpan<int> state, int parent)
    {
        // A state known already was judged when it came; the step into it was not.
        bool isNew = _seen.TryAdd(state, out int index);
        if (isNew) _parents.Add(parent);
        if (_judge.Check(before, state) is { } violation)
            return new Finding(violation, isNew ? Trace(index) : [.. Trace(parent), "then"], Depth);
        if (!isNew || _healing.Check(state) is not { } ahead) return null;
        if (ahead.Invariant is "EveryMigrationTerminates" or "SomebodyOwns") return Foresee(state, index, ahead);
        // A state further on breaks it; the search gets there itself, and by the shortest way.
        _foreseen ??= Foresee(state, index, ahead);
        return null;
    }

    private Finding Foresee(ReadOnlySpan<int> state, int index, Violation violation)
    {
        var story = new List<(int[] Before, Step Step, int[] After)>();
        _healing.Check(state, story);
        return new Finding(violation, [.. Trace(index), "-- faults stop --", .. Tell(story)], Depth);
    }

    private List<string> Trace(int index)
    {
        var path = new List<int>();
        for (; index >= 0; index = _parents[index]) path.Add(index);
        path.Reverse();
        var words = new Words(_space, _agents);
        var successors = new Successors(_space.Width);
        var lines = new List<string>();
        for (int i = 1; i < path.Count; i++)
        {
            _moves.Expand(_seen[path[i - 1]], successors);
            for (int n = 0; n < successors.Count; n++)
            {
                if (!successors[n].SequenceEqual(_seen[path[i]])) continue;
                lines.Add(words.Of(_seen[path[i - 1]], successors[n], successors.StepOf(n)));
                break;
            }
        }

        return lines;
    }

    private IEnumerable<string> Tell(List<(int[] Before, Step Step, int[] After)> story)
    {
        var words = new Words(_space, _agents);
        return story.Select(part => words.Of(part.Before, part.After, part.Step));
    }
}
