using System.Runtime.InteropServices;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>A host's disk as its agent's journal uses it: a daemon's death takes nothing, a power cut what nothing durable followed.</summary>
internal sealed class SimulatedDisk(HostName host, Observer observer) : IAgentJournal
{
    private const int Skip = 10_000;

    private readonly List<(MigrationId Migration, NumberedAgentEvent Event)> _events = [];
    private readonly List<TaskCompletionSource> _waiting = [];

    /// <summary>Where each transaction since the last durable one begins.</summary>
    private readonly List<int> _volatile = [];
    private long _last;

    /// <summary>A daemon opens its journal: nobody waits any more, and the numbers go on far above what anybody may have read.</summary>
    public void Open()
    {
        _waiting.Clear();
        _last += Skip;
    }

    public int CutPower(Random random)
    {
        int kept = random.Next(_volatile.Count + 1);
        int left = kept < _volatile.Count ? _volatile[kept] : _events.Count;
        int gone = _events.Count - left;
        _events.RemoveRange(left, gone);
        _volatile.Clear();
        return gone;
    }

    public Task AppendedAsync(CancellationToken cancellationToken)
    {
        var appended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        cancellationToken.UnsafeRegister(static (waits, token) => ((TaskCompletionSource)waits!).TrySetCanceled(token), appended);
        _waiting.RemoveAll(static waits => waits.Task.IsCompleted);
        _waiting.Add(appended);
        return appended.Task;
    }

    public void Append(MigrationId migration, Side side, IReadOnlyList<AgentEvent> events)
    {
        if (events.Any(e => e.Durable)) _volatile.Clear();
        else _volatile.Add(_events.Count);
        foreach (var e in events)
        {
            _events.Add((migration, new NumberedAgentEvent(++_last, side, e)));
            observer.OnAgentEvent(host, side, e);
        }

        foreach (var waits in _waiting) waits.TrySetResult();
        _waiting.Clear();
    }

    public IReadOnlyList<NumberedAgentEvent> ReadAfter(long number, int max)
    {
        int first = _events.Count;
        while (first > 0 && _events[first - 1].Event.Number > number) first--;
        return [.. CollectionsMarshal.AsSpan(_events)[first..].ToArray().Take(max).Select(kept => kept.Event)];
    }

    public IReadOnlyList<NumberedAgentEvent> ReadMigration(MigrationId migration, Side side) =>
        [.. _events.Where(kept => kept.Migration == migration && kept.Event.Side == side).Select(kept => kept.Event)];

    public IReadOnlyList<(MigrationId Migration, Side Side)> ListMigrations() =>
        [.. _events.Select(kept => (kept.Migration, kept.Event.Side)).Distinct()];
}
