using MigrationCluster.Chaos.Model;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Invariants;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>Sees everything from outside and holds it against Protocol's invariants whenever a row, a guest process or a session has
/// changed. The first violation ends a run.</summary>
internal sealed class Observer(VirtualTime time, Build build, Trace trace) : ISupervisor
{
    private readonly List<HostName> _hosts = [];
    private readonly SortedDictionary<string, Watched> _guests = new(StringComparer.Ordinal);
    private readonly Dictionary<MigrationId, DestinationState> _destinations = [];
    private readonly HashSet<MigrationId> _diedKnown = [];
    private readonly HashSet<MigrationId> _accepted = [];
    private GuestProcesses? _processes;

    public Violation? Violation { get; private set; }

    /// <summary>How each migration stands by its journal.</summary>
    public Dictionary<MigrationId, MigrationPhase> Phases { get; } = [];

    public bool Tells => trace.Tells;

    /// <summary>The guests whose last complete copy a fault took: nobody can own them any more.</summary>
    public int Lost => _guests.Values.Count(watched => watched.IsLost);

    public void Watch(GuestProcesses processes) => _processes = processes;

    public void Watch(HostName host) => _hosts.Add(host);

    public void Say(string line) => trace.Say(time.Now, line);

    /// <summary>What only a reader of the story wants to know.</summary>
    public void Detail(string line) => trace.Detail(time.Now, line);

    /// <summary>Whether a coordinator has journaled that the source of an attempt is dead.</summary>
    public bool KnowsOfDeath(MigrationId attempt) => _diedKnown.Contains(attempt);

    /// <param name="knows">whoever swapped it knew that the source is dead.</param>
    public void OnRow(GuestRecord? before, GuestRecord after, bool knows)
    {
        var row = after.Row;
        if (!_guests.TryGetValue(row.Guest.Value, out var watched)) _guests[row.Guest.Value] = watched = new Watched(row);
        if (row.Attempt != watched.Row.Attempt)
        {
            (watched.Source, watched.Destination, watched.Attempt) = (row.Owner, row.Destination!.Value, row.Epoch);
            watched.Resting = (Find(row.Owner, watched)?.Members ?? []).Where(device => device.State != DeviceState.Running)
                .Select(device => device.Name.Value).ToHashSet();
        }

        if (before is not null) Say($"row of {row.Guest}: {row.Decision} at {row.Epoch}, owner {row.Owner}");
        bool decided = row.Decision != watched.Row.Decision && row.Decision != OwnershipDecision.Undecided;
        watched.Row = row;
        // An abort by one who could not know that only the destination's copy is left is nobody's mistake.
        if (decided && !knows) watched.IsLost |= !IsCopyLeft(watched);
        Check(watched);
    }

    public void OnGuest(ModelGuest? before, ModelGuest after)
    {
        trace.Mix(after.Devices.Count);
        if (before?.Alive != after.Alive || before?.MachineRuns != after.MachineRuns)
            Say($"{after.Fence.Guest} on {after.Host} {(after.MachineRuns ? "runs" : after.Alive ? "stands still" : "is dead")}");
        else if (before.Fence != after.Fence) Say($"{after.Fence.Guest} on {after.Host}: {Words(after.Fence)}");
        if (_guests.TryGetValue(after.Fence.Guest.Value, out var watched)) Check(watched);
    }

    public void OnDeath(GuestName guest)
    {
        if (_guests.TryGetValue(guest.Value, out var watched)) watched.IsLost |= !IsCopyLeft(watched);
    }

    public void OnAgentEvent(HostName host, Side side, AgentEvent e)
    {
        trace.Mix(e.GetType().Name);
        if (Tells) Detail($"{host} notes of {e.Migration}: {Words(e)}");
        if (e is SetupAccepted) _accepted.Add(e.Migration);
        if (side == Side.Source) return;
        var session = _destinations[e.Migration] = build.Destination.Evolve(Session(e.Migration), e);
        if (_guests.TryGetValue(session.Guest.Value ?? "", out var watched)) Check(watched);
    }

    /// <param name="term">under which the migration is coordinated now.</param>
    public void OnJournal(MigrationId migration, Fence fence, Term term, IReadOnlyList<JournalEntry> entries)
    {
        if (fence.Term < term)
            Violate("EpochsOnlyGrow", $"the journal of {migration} takes an entry of {fence.Term}, and {term} coordinates it");
        foreach (var entry in entries)
        {
            trace.Mix(entry.Body);
            if (entry.Type == nameof(SourceGuestDied)) _diedKnown.Add(migration);
            if (entry.Type != nameof(CoordinatorEvent.PhaseEntered))
            {
                if (Tells) Detail($"journal of {migration}: {entry.Type}");
                continue;
            }

            var phase = Phases[migration] = ((CoordinatorEvent.PhaseEntered)WireJson.Read<CoordinatorEvent>(entry.Body)).Phase;
            Say($"{migration}: {phase}");
        }
    }

    public void ChildFailed(ActorFailure failure)
    {
        Say($"actor {failure.Actor} failed: {failure.Error.Message}");
        if (!IsOperating(failure.Error)) Violate("ShellNeverFails", $"{failure.Actor}: {failure.Error}");
    }

    /// <summary>An operating failure, of which a shell may hear at any time; anything else is a defect.</summary>
    public static bool IsOperating(Exception error) =>
        error is IOException or FencedOutException or AgentUnreachableException or OperationCanceledException or ActorStoppedException
            or ActorFailedException
        && (error.InnerException is null || IsOperating(error.InnerException));

    public void Violate(string invariant, string detail) => Violation ??= new Violation(invariant, detail);

    /// <summary>Once faults have stopped and everything has ended.</summary>
    public void CheckHealed()
    {
        foreach (var watched in _guests.Values.Where(watched => !watched.IsLost))
            Violation ??= OwnershipInvariants.CheckHealed(Observe(watched)).FirstOrDefault();
    }

    private void Check(Watched watched)
    {
        if (Violation is not null) return;
        var now = Observe(watched);
        Violation = OwnershipInvariants.Check(now).FirstOrDefault()
            ?? (watched.Last is { } last ? OwnershipInvariants.CheckStep(last, now).FirstOrDefault() : null)
            ?? CheckProcesses(watched);
        watched.Last = now;
    }

    private Violation? CheckProcesses(Watched watched)
    {
        foreach (var host in _hosts)
            if (Find(host, watched) is { } process && GroupInvariants.Check(
                [.. process.Members], process.Fence.Role == GuestRole.Incoming).FirstOrDefault() is { } violation)
                return violation;
        return watched.Row.Attempt is { } attempt
            ? Transfers.Check(
                Find(watched.Source, watched), Find(watched.Destination, watched), Session(attempt), watched.Resting, _accepted.Contains(attempt))
                .FirstOrDefault()
            : null;
    }

    private GuestObservation Observe(Watched watched) => new(
        watched.Row, [.. _hosts.Select(host => Find(host, watched)).OfType<ModelGuest>().Select(process => process.Observe())]);

    private bool IsCopyLeft(Watched watched) => watched.Row.Attempt is { } attempt
        ? CompleteCopies.IsLeft(
            watched.Row, watched.Attempt, Find(watched.Source, watched), Find(watched.Destination, watched), Session(attempt))
        : Find(watched.Row.Owner, watched) is { Alive: true };

    private ModelGuest? Find(HostName host, Watched watched) => _processes!.Find(host, watched.Row.Guest);

    private DestinationState Session(MigrationId migration) => _destinations.GetValueOrDefault(migration, DestinationState.New);

    private static string Words(FenceRecord fence) => $"{fence.Fence} {fence.Role}"
        + (fence.VerifiedDigest is null ? "" : ", Verified") + (fence.Kept ? ", Kept" : "")
        + (fence.Yielded ? ", Yielded" : "") + (fence.Permitted ? ", Permit" : "");

    private static string Words(AgentEvent e) => e switch
    {
        DeviceStateReached reached => $"{reached.Device} is {reached.State}",
        SourceFailed failed => $"SourceFailed {failed.Code}: {failed.Reason}",
        DestinationFailed failed => $"DestinationFailed {failed.Code}: {failed.Reason}",
        _ => e.GetType().Name,
    };

    private sealed class Watched(GuestRow row)
    {
        public GuestRow Row { get; set; } = row;

        public HostName Source { get; set; }

        public HostName Destination { get; set; }

        public Epoch Attempt { get; set; }

        public IReadOnlySet<string>? Resting { get; set; }

        public bool IsLost { get; set; }

        public GuestObservation? Last { get; set; }
    }
}
