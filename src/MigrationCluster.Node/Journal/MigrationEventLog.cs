using System.Text.Json;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Journal;

/// <summary>One migration in a coordinator's journal as the log of its machine, written under one tenure.</summary>
/// <param name="fence">of this tenure; an append fails once a later term has taken over.</param>
/// <remarks>Durable is what cannot be learned again: the plan, a takeover, what an operator chose since, how it ended. Everything between comes again from the
/// agents' feeds, and the decision from the guest's row, which is fsynced by itself.</remarks>
public sealed class MigrationEventLog(IMigrationJournal journal, MigrationId migration, Fence fence)
    : IEventLog<CoordinatorEvent>
{
    /// <summary>How many entries the machine's state is made of.</summary>
    private int _length;

    public async ValueTask AppendAsync(IReadOnlyList<CoordinatorEvent> events, CancellationToken cancellationToken)
    {
        await journal.AppendAsync(
            migration, fence, _length, [.. events.Select(e => ToEntry(e))], events.Any(IsDurable), cancellationToken);
        _length += events.Count;
    }

    public async ValueTask<IReadOnlyList<CoordinatorEvent>> ReadAsync(CancellationToken cancellationToken)
    {
        var entries = await journal.ReadAsync(migration, cancellationToken);
        _length = entries.Count;
        return [.. entries.Select(e => WireJson.Read<CoordinatorEvent>(e.Body)).Select(Mine)];
    }

    /// <summary>Whoever was replaced must not act on what his successor wrote: he would speak under its term.</summary>
    private CoordinatorEvent Mine(CoordinatorEvent e) =>
        e is CoordinatorEvent.TookOver took && took.Term > fence.Term
            ? throw new FencedOutException(migration, fence.Term, took.Term)
            : e;

    private static JournalEntry ToEntry(CoordinatorEvent e) => new(StepName.Of(e), WireJson.Write(e));

    private static bool IsDurable(CoordinatorEvent e) => e switch
    {
        CoordinatorEvent.Planned or CoordinatorEvent.TookOver or CoordinatorEvent.BandwidthChosen => true,
        // From Quiescing on a source that dies may leave the only complete copy on the destination: who forgot that would discard it.
        CoordinatorEvent.PhaseEntered entered => entered.Phase is MigrationPhase.Quiescing or MigrationPhase.Completed or MigrationPhase.Failed
            or MigrationPhase.Cancelled or MigrationPhase.GuestLost,
        _ => false,
    };
}
