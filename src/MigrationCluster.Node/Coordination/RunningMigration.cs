using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using Coordinators = MigrationCluster.Protocol.Machines.IStateMachine<
    MigrationCluster.Protocol.Coordinator.CoordinatorState, MigrationCluster.Protocol.Coordinator.CoordinatorCommand,
    MigrationCluster.Protocol.Coordinator.CoordinatorEvent, MigrationCluster.Protocol.Coordinator.CoordinatorEffect>;
using MigrationActor = MigrationCluster.Node.Actors.MachineActor<
    MigrationCluster.Protocol.Coordinator.CoordinatorState, MigrationCluster.Protocol.Coordinator.CoordinatorCommand,
    MigrationCluster.Protocol.Coordinator.CoordinatorEvent, MigrationCluster.Protocol.Coordinator.CoordinatorEffect>;

namespace MigrationCluster.Node.Coordination;

/// <summary>A migration in this coordinator's hands: its actor, how operators see it, and how it learns what it has missed.</summary>
internal sealed class RunningMigration : ISupervisor, IAsyncDisposable
{
    private readonly IMigrationJournal _journal;
    private readonly IAgents _agents;
    private readonly ISupervisor _supervisor;
    private readonly TimeProvider _time;
    private readonly Coordinators _machine;
    private readonly Action<RunningMigration> _fencedOut;
    private volatile bool _letGo;
    private int _failures;
    private int _catchUps;

    /// <param name="fencedOut">hears that a later term has this migration.</param>
    public RunningMigration(
        MigrationId id, GuestName guest, Fence fence, Coordinators machine, IGuestRows rows, IMigrationJournal journal, IAgents agents,
        ISupervisor supervisor, TimeProvider time, Action<RunningMigration> fencedOut)
    {
        (Id, _machine, _journal, _agents, _supervisor, _time, _fencedOut) = (id, machine, journal, agents, supervisor, time, fencedOut);
        var effects = new CoordinatorEffects(id, guest, rows, agents, time);
        Actor = new MigrationActor($"migration/{id}", machine, CoordinatorState.New,
            new MigrationEventLog(journal, id, fence), effects.Runner, this, time, Projection);
        effects.State = () => Actor.State;
    }

    public MigrationId Id { get; }

    public MigrationActor Actor { get; }

    public MigrationProjection Projection { get; } = new();

    /// <summary>Reads what both agents said, whenever each can be asked, and has the actor hear what its journal does not hold.</summary>
    public async Task CatchUpAsync(MigrationPlan plan, IReadOnlyList<CoordinatorEvent> journal, CancellationToken cancellationToken)
    {
        var heard = journal.OfType<CoordinatorEvent.Observed>().Select(e => WireJson.Write(e.Event)).ToHashSet();
        Task<IReadOnlyList<AgentEvent>>[] readings =
            [ReadUntilAnsweredAsync(plan.Source, cancellationToken), ReadUntilAnsweredAsync(plan.Destination, cancellationToken)];
        await HearAsync(await await Task.WhenAny(readings), heard, cancellationToken);
        var both = await Task.WhenAll(readings);
        _ = HearOnAsync([.. both[0], .. both[1]], heard, Interlocked.Increment(ref _catchUps));
    }

    /// <summary>What an agent said may mean something only once a row has been read, or the other agent has said more: what led to nothing is
    /// heard again whenever this migration has gone on.</summary>
    /// <param name="catchUp">a later one takes its place.</param>
    private async Task HearOnAsync(IReadOnlyList<AgentEvent> said, HashSet<string> heard, int catchUp)
    {
        try
        {
            while (!_letGo && !Actor.State.Ended && catchUp == Volatile.Read(ref _catchUps))
            {
                var changed = Projection.Read().Changed;
                await HearAsync(said, heard, CancellationToken.None);
                await changed;
            }
        }
        catch (Exception error) when (error is ActorFailedException or ActorStoppedException)
        {
            // An actor that failed catches up again; one that was let go of need not.
        }
    }

    /// <summary>A store that lost its power has lost the end of the journal that a failed actor starts over from, and the feeds, which
    /// are read on, do not tell it again.</summary>
    void ISupervisor.ChildFailed(ActorFailure failure)
    {
        _supervisor.ChildFailed(failure);
        if (failure.Error is FencedOutException) _fencedOut(this);
        else if (!failure.Recovering && Interlocked.Increment(ref _failures) == 1) _ = CatchUpAgainAsync();
    }

    public async ValueTask DisposeAsync()
    {
        _letGo = true;
        await Actor.DisposeAsync();
    }

    private async Task CatchUpAgainAsync()
    {
        for (int attempt = 0; !_letGo; attempt++)
        {
            int failures = Volatile.Read(ref _failures);
            try
            {
                var events = (await _journal.ReadAsync(Id, CancellationToken.None))
                    .Select(entry => WireJson.Read<CoordinatorEvent>(entry.Body)).ToList();
                if (events.Aggregate(CoordinatorState.New, _machine.Evolve).Plan is { } plan)
                    await CatchUpAsync(plan, events, CancellationToken.None);
                if (Interlocked.CompareExchange(ref _failures, 0, failures) == failures) return;
            }
            catch (Exception error) when (error is IOException or ActorFailedException or ActorStoppedException)
            {
                // The store or the actor fails on; it is told elsewhere.
            }

            await Task.Delay(BackOff.Delay(attempt), _time);
        }
    }

    /// <param name="heard">what the journal holds already.</param>
    /// <remarks>What led to nothing is heard again after what led to something.</remarks>
    private async Task HearAsync(IReadOnlyList<AgentEvent> said, HashSet<string> heard, CancellationToken cancellationToken)
    {
        var left = said.Select(e => (Event: e, Text: WireJson.Write(e))).Where(e => !heard.Contains(e.Text)).ToList();
        for (bool further = true; further;)
        {
            further = false;
            foreach (var (e, text) in left)
            {
                if (heard.Contains(text)) continue;
                var decision = await Actor.AskAsync(new CoordinatorCommand.Hear(e, _time.GetUtcNow()), cancellationToken);
                if (decision is Accepted<CoordinatorEvent> { Events.Count: > 0 }) further |= heard.Add(text);
            }
        }
    }

    /// <summary>Asks an agent what it said of this migration until it answers, or this coordinator has let go.</summary>
    private async Task<IReadOnlyList<AgentEvent>> ReadUntilAnsweredAsync(HostName host, CancellationToken cancellationToken)
    {
        for (int attempt = 0; !_letGo; attempt++)
        {
            try
            {
                return await _agents.ReadMigrationAsync(host, Id, cancellationToken);
            }
            catch (AgentUnreachableException)
            {
                await Task.Delay(BackOff.Delay(attempt), _time, cancellationToken);
            }
        }

        return [];
    }
}
