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
    private readonly Dictionary<MigrationId, BlackoutRecord?> _read = [];
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
                if (state.Phase == MigrationPhase.Completed || state.Ended) _read[id] = BlackoutRecords.Of(state, events);
            }

            foreach (var old in _read.Keys.Except(ids).ToList()) _read.Remove(old);
            return _records = [.. ids.Select(id => _read.GetValueOrDefault(id)).OfType<BlackoutRecord>()];
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

    public async Task<LearnedCosts> LearnAsync(HostName source, HostName destination, CancellationToken cancellationToken) =>
        CostLearner.Learn(await ReadAsync(cancellationToken), source.Value, destination.Value);

    public void Dispose() => _turn.Dispose();
}
