using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;

namespace MigrationCluster.Node.Coordination;

/// <summary>
/// What earlier blackouts of the whole cluster cost, from the coordinators' journals: whoever plans next knows what all have seen, and
/// nothing is stored twice.
/// </summary>
public sealed class CostBook(
    IMigrationJournal journal, IStateMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect> machine) : IDisposable
{
    /// <summary>Older ones say little of today's hosts.</summary>
    private const int Most = 300;

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Dictionary<MigrationId, Entry> _read = [];
    private IReadOnlyList<BlackoutRecord> _records = [];

    /// <returns>the oldest first. A store that does not answer adds nothing to what was known.</returns>
    public async Task<IReadOnlyList<BlackoutRecord>> ReadAsync(CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var ids = (await journal.ListAsync(cancellationToken)).TakeLast(Most).ToList();
            foreach (var id in ids)
            {
                if (_read.ContainsKey(id)) continue;
                var events = (await journal.ReadAsync(id, cancellationToken)).Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).ToList();
                var state = events.Aggregate(CoordinatorState.New, machine.Evolve);
                if (state.Phase == MigrationPhase.Completed || state.Ended)
                    _read[id] = new Entry(BlackoutRecords.Of(state, events), BlackoutRecords.WasTooDear(events) ? state.Plan : null);
            }

            foreach (var old in _read.Keys.Except(ids).ToList()) _read.Remove(old);
            return _records = Known([.. ids.Where(_read.ContainsKey).Select(id => _read[id])]);
        }
        catch (IOException)
        {
            return _records;
        }
        finally
        {
            _turn.Release();
        }
    }

    private static IReadOnlyList<BlackoutRecord> Known(List<Entry> entries)
    {
        IReadOnlyList<BlackoutRecord> known = [];
        var givenUp = new Dictionary<(string Source, string Destination), int>();
        foreach (var (blackout, tooDear) in entries)
        {
            if (blackout is not null)
            {
                known = [.. known, blackout];
                givenUp.Remove((blackout.Source, blackout.Destination));
            }

            if (tooDear is not { Source.Value: var source, Destination.Value: var destination }) continue;
            int inARow = givenUp[(source, destination)] = givenUp.GetValueOrDefault((source, destination)) + 1;
            known = CostLearner.Forget(known, source, destination, inARow);
        }

        return known;
    }

    public async Task<LearnedCosts> LearnAsync(HostName source, HostName destination, CancellationToken cancellationToken) =>
        CostLearner.Learn(await ReadAsync(cancellationToken), source.Value, destination.Value);

    public void Dispose() => _turn.Dispose();

    /// <summary>A migration that has ended.</summary>
    /// <param name="TooDear">what was planned, and given up for what earlier blackouts had cost.</param>
    private sealed record Entry(BlackoutRecord? Blackout, MigrationPlan? TooDear);
}
