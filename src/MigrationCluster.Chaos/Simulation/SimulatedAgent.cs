using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>One host's agent: the real source and destination machines over a simulated guest process. Its journal is the
/// feed; a crash forgets the states, which are rebuilt from it.</summary>
internal sealed class SimulatedAgent(
    HostName host, Random random, IStateMachine<SourceState, SourceCommand, AgentEvent, SourceEffect> sources)
{
    private static readonly DestinationMachine Destinations = new();

    private Dictionary<MigrationId, SourceState> _sources = [];
    private Dictionary<MigrationId, DestinationState> _destinations = [];

    public HostName Host => host;

    public SimulatedGuest? Guest { get; set; }

    /// <summary>Durable: what this agent has journaled, in order.</summary>
    public List<(Side Side, AgentEvent Event)> Feed { get; } = [];

    /// <summary>Attempts whose source has sent everything, as the other side's data plane would notice.</summary>
    public required HashSet<MigrationId> CompleteStreams { get; init; }

    public string? Order(AgentCommand command)
    {
        var refused = command.Side == Side.Source
            ? Run(command.Migration, new SourceCommand.Order(command, default))
            : Run(command.Migration, new DestinationCommand.Order(command, default));
        return refused;
    }

    public List<(MigrationId Migration, object Effect)> Pending() =>
    [
        .. _sources.SelectMany(pair => sources.Pending(pair.Value).Select(effect => (pair.Key, (object)effect))),
        .. _destinations.SelectMany(pair => Destinations.Pending(pair.Value).Select(effect => (pair.Key, (object)effect))),
    ];

    public void Crash()
    {
        var feed = Feed.ToList();
        _sources = [];
        _destinations = [];
        foreach (var (side, e) in feed) Evolve(side, e);
        foreach (var id in _sources.Keys.ToList()) Run(id, new SourceCommand.Restarted(default));
        foreach (var id in _destinations.Keys.ToList()) Run(id, new DestinationCommand.Restarted(default));
    }

    /// <summary>The guest process died; the agent has looked at its fence file under flock.</summary>
    public void NoticeDeath()
    {
        foreach (var (id, state) in _sources.ToList())
        {
            if (state.Phase is SourcePhase.Kept or SourcePhase.Released or SourcePhase.Died) continue;
            Run(id, Died());
        }
        foreach (var (id, state) in _destinations.ToList())
            if (state.Phase is > DestinationPhase.New and < DestinationPhase.Discarding)
                Run(id, new DestinationCommand.GuestDied("killed", default));
    }

    /// <summary>A dead process's file is read under flock; without Kept in it, Yielded is written on its behalf.</summary>
    private SourceCommand.GuestDied Died() =>
        new(!Guest!.Fence.Kept && Guest.Cast(Vote.Yielded) is null, "killed", default);

    /// <param name="fail">whether the effect meets an operating failure instead.</param>
    public void Perform(MigrationId id, object effect, bool fail)
    {
        if (effect is SourceEffect source) Run(id, PerformSource(id, source, fail));
        else if (PerformDestination(id, (DestinationEffect)effect, fail) is { } result) Run(id, result);
    }

    private SourceCommand PerformSource(MigrationId id, SourceEffect effect, bool fail)
    {
        if (Guest is not { Alive: true } guest)
            return effect is SourceEffect.Release
                ? new SourceCommand.ReleaseEnded([], new Dictionary<string, string>(), default)
                : Died();
        if (fail && effect is not (SourceEffect.CastVote or SourceEffect.Release))
        {
            var device = (effect as SourceEffect.MoveDevice)?.Device;
            if (device is { } broken && broken != DeviceName.Machine) guest.States[broken.Value] = DeviceState.Error;
            return new SourceCommand.Failed(device, "injected", "injected", default);
        }

        switch (effect)
        {
            case SourceEffect.ReadSetup read:
                return guest.Bind(read.Fence)
                    ? new SourceCommand.SetupRead([], guest.Devices, default)
                    : new SourceCommand.Failed(null, "fence.older", "pre-empted", default);
            case SourceEffect.ConnectTransfer:
                return new SourceCommand.TransferConnected(default);
            case SourceEffect.RunIteration run:
                return new SourceCommand.IterationEnded(run.Iteration, 1, 4096, TimeSpan.FromSeconds(1),
                    random.Next(3) == 0 ? 1L << 40 : 0, 1 << 20, 0, true, default);
            case SourceEffect.PauseMachine:
                return Moved(id, guest, DeviceName.Machine, DeviceState.Stop);
            case SourceEffect.MoveDevice move:
                return Moved(id, guest, move.Device, move.Target);
            case SourceEffect.SendFinal:
                CompleteStreams.Add(id);
                return new SourceCommand.FinalSent("digest", default,
                    new TransferTotals(0, 0, 0, new Dictionary<string, long>()), default);
            case SourceEffect.CastVote cast:
                if (!guest.Bind(cast.Fence)) return new SourceCommand.VoteExcluded(cast.Vote, "pre-empted", default);
                return guest.Cast(cast.Vote) is { } refusal
                    ? new SourceCommand.VoteExcluded(cast.Vote, refusal, default)
                    : new SourceCommand.VoteCast(cast.Vote, default);
            case SourceEffect.Release:
                guest.Die();
                return new SourceCommand.ReleaseEnded([], new Dictionary<string, string>(), default);
            default:
                throw new InvalidOperationException(effect.ToString());
        }
    }

    private SourceCommand Moved(MigrationId id, SimulatedGuest guest, DeviceName device, DeviceState target)
    {
        // On the way back a guest that kept itself stands elsewhere than the session thinks: the adapter reads the state.
        bool keeping = _sources[id].Phase == SourcePhase.Keeping;
        string? refusal = guest.Move(device, target);
        var stands = guest.States[device.Value];
        return refusal is null || (keeping && stands == DeviceState.Running)
            ? new SourceCommand.DeviceArrived(device, stands, default)
            : new SourceCommand.Failed(device, "device.refused", refusal, default);
    }

    private DestinationCommand? PerformDestination(MigrationId id, DestinationEffect effect, bool fail)
    {
        var state = _destinations[id];
        switch (effect)
        {
            case DestinationEffect.Discard discard:
                if (Guest is { Fence.Role: GuestRole.Incoming } incoming)
                {
                    incoming.Die();
                    incoming.Bind(discard.Fence);
                }
                return new DestinationCommand.DiscardEnded(default);
            case DestinationEffect.ProveNeverRan prove:
                // A guest that took its permit is never touched: it may be running.
                if (Guest!.Fence.Permitted)
                    return new DestinationCommand.ProofEnded(false, "a permit was taken", default);
                Guest.Die();
                if (!Guest.Bind(prove.Fence))
                    return new DestinationCommand.ProofEnded(false, "the fence file is newer", default);
                return new DestinationCommand.ProofEnded(true, "", default);
            case DestinationEffect.LaunchIncoming launch:
                if (fail) return new DestinationCommand.Failed(null, "injected", "injected", default);
                if (Guest is { Alive: true } other && other.Fence.Fence != launch.Fence)
                    return new DestinationCommand.Failed(null, "guest.exists", "a guest process lives here", default);
                if (Guest is { } old && launch.Fence < old.Fence.Fence)
                    return new DestinationCommand.Failed(null, "fence.older", "the fence file is newer", default);
                Guest = new SimulatedGuest(host, new FenceRecord(state.Guest, launch.Fence, GuestRole.Incoming));
                Guest.Launch();
                return new DestinationCommand.IncomingLaunched("127.0.0.1:1", "00", Guest.Devices, default);
        }

        if (Guest is not { Alive: true } guest)
            return new DestinationCommand.GuestDied("no guest process", default);
        if (fail && effect is not DestinationEffect.TakePermit)
        {
            var device = (effect as DestinationEffect.MoveDevice)?.Device;
            if (device is { } broken && broken != DeviceName.Machine) guest.States[broken.Value] = DeviceState.Error;
            return new DestinationCommand.Failed(device, "injected", "injected", default);
        }

        switch (effect)
        {
            case DestinationEffect.ConfirmSetup:
                return new DestinationCommand.SetupAnswered(
                    random.Next(20) == 0 ? [new Refusal("device.parameter-mismatch", "x", "y")] : [], default);
            case DestinationEffect.MoveDevice move:
                return guest.Move(move.Device, move.Target) is { } refusal
                    ? new DestinationCommand.Failed(move.Device, "device.refused", refusal, default)
                    : new DestinationCommand.DeviceArrived(move.Device, move.Target, default);
            case DestinationEffect.Receive:
                return CompleteStreams.Contains(id) ? new DestinationCommand.StreamReceived("digest", default) : null;
            case DestinationEffect.VoteVerified vote:
                return guest.Cast(Vote.Verified, vote.Digest) is { } no
                    ? new DestinationCommand.Failed(null, "vote.refused", no, default)
                    : new DestinationCommand.VerifiedVoted(new Dictionary<string, string>(), default);
            case DestinationEffect.TakePermit permit:
                return !guest.Bind(permit.Fence) || guest.Cast(Vote.Permit) is not null
                    ? new DestinationCommand.Failed(null, "vote.refused", "permit", default)
                    : new DestinationCommand.PermitVoted(default);
            default:
                throw new InvalidOperationException(effect.ToString());
        }
    }

    private string? Run(MigrationId id, SourceCommand command) =>
        Record(Side.Source, sources.Decide(_sources.GetValueOrDefault(id, SourceState.New), command));

    private string? Run(MigrationId id, DestinationCommand command) =>
        Record(Side.Destination, Destinations.Decide(_destinations.GetValueOrDefault(id, DestinationState.New), command));

    private string? Record(Side side, Decision<AgentEvent> decision)
    {
        if (decision is Refused<AgentEvent> refused) return $"{refused.Code}: {refused.Reason}";
        foreach (var e in ((Accepted<AgentEvent>)decision).Events)
        {
            Feed.Add((side, e));
            Evolve(side, e);
        }
        return null;
    }

    private void Evolve(Side side, AgentEvent e)
    {
        if (side == Side.Source)
            _sources[e.Migration] = sources.Evolve(_sources.GetValueOrDefault(e.Migration, SourceState.New), e);
        else
            _destinations[e.Migration] = Destinations.Evolve(_destinations.GetValueOrDefault(e.Migration, DestinationState.New), e);
    }
}
