using System.Collections.Immutable;
using MigrationCluster.Api;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Coordination;

/// <summary>One migration as operators see it, kept up to date from its events and from the source agent's progress.</summary>
public sealed class MigrationProjection : IMachineObserver<CoordinatorState, CoordinatorEvent>
{
    private readonly Lock _sync = new();
    private CoordinatorState _state = CoordinatorState.New;
    private ImmutableList<CoordinatorEvent> _events = [];
    private ProgressView _progress = new(0, 0, 0, 0, 0, []);
    private long _progressChanges;
    private (DateTimeOffset Since, string Why)? _storeAway;
    private TaskCompletionSource _changed = NewSignal();

    public void OnRecovered(CoordinatorState state, IReadOnlyList<CoordinatorEvent> all)
    {
        lock (_sync)
        {
            if (_events.Count == all.Count) return;
            _state = state;
            _events = [.. all];
            Changed();
        }
    }

    public void OnEvolved(CoordinatorState state, IReadOnlyList<CoordinatorEvent> events)
    {
        lock (_sync)
        {
            _state = state;
            _events = _events.AddRange(events);
            Changed();
        }
    }

    /// <summary>Takes a progress snapshot in; it lives only here.</summary>
    public void OnProgress(ProgressView progress)
    {
        lock (_sync)
        {
            if (_progress == progress) return;
            _progress = progress;
            _progressChanges++;
            Changed();
        }
    }

    /// <summary>The store does not answer, or answers again (null). Matters only to who waits for the row.</summary>
    public void OnStoreAway((DateTimeOffset Since, string Why)? away)
    {
        lock (_sync)
        {
            if (_storeAway == away) return;
            _storeAway = away;
            _progressChanges++;
            Changed();
        }
    }

    /// <summary>The view, and what ends when it changes.</summary>
    public (MigrationView? View, Task Changed) Read()
    {
        lock (_sync)
            return (_state.Plan is null ? null : View(), _changed.Task);
    }

    private MigrationView View()
    {
        var view = MigrationViews.Of(_state, _events, _progress, Version);
        if (_storeAway is not var (since, why) || !_state.AwaitsTheRow) return view;
        // A row that was waited for before the store went away could have been read until then.
        var from = _events[^1].At > since ? _events[^1].At : since;
        return MigrationViews.InDoubt(view, from, why);
    }

    /// <summary>Grows with every change, and does not fall when another coordinator, which has seen other progress, carries on.</summary>
    private long Version => ((long)_events.Count << 20) + _progressChanges;

    private void Changed()
    {
        _changed.SetResult();
        _changed = NewSignal();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
