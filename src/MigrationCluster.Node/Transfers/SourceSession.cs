using System.Collections.Concurrent;
using System.Diagnostics;
using MigrationCluster.Api;
using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Source;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Node.Transfers;

/// <summary>Carries out the source machine's effects for one migration, with real devices and the real data plane.</summary>
/// <param name="bandwidth">the session's own, until it ends.</param>
public sealed class SourceSession(
    SessionGuest guest, string name, TransferOptions options, BandwidthShare bandwidth, ISupervisor supervisor, TimeProvider time) : ISourceHands
{
    /// <summary>For a device server that is just ending: the lock is theirs too.</summary>
    internal static readonly TimeSpan LockWait = TimeSpan.FromSeconds(5);

    /// <summary>Of a throttle that nobody renews: the guest is at full speed again soon after its daemon has died.</summary>
    private static readonly TimeSpan ThrottleLease = TimeSpan.FromSeconds(15);

    private readonly ConcurrentDictionary<(string Device, DeviceState State), double> _moves = [];
    private SessionDevices? _devices;
    private SourceTransfer? _transfer;

    public Func<SourceState> State { get; set; } = () => SourceState.New;

    public EffectRunner<SourceEffect, SourceCommand> Runner => new(RunAsync, Translate);

    public void Limit(long? maxBytesPerSecond)
    {
        if (bandwidth.Limit != maxBytesPerSecond) bandwidth.Limit = maxBytesPerSecond;
    }

    public ProgressView? Progress => _transfer is { } transfer ? ProgressOf(State(), transfer) : null;

    public Task WatchDeathAsync(CancellationToken cancellationToken) => guest.WatchDeathAsync(cancellationToken);

    private async Task<SourceCommand?> RunAsync(SourceEffect effect, CancellationToken cancel)
    {
        if (!guest.IsAlive && effect is not SourceEffect.Release) return await ReportDeathAsync(cancel);
        return effect switch
        {
            SourceEffect.ReadSetup read => await ReadSetupAsync(read.Fence, cancel),
            SourceEffect.ConnectTransfer connect => await ConnectAsync(connect, cancel),
            SourceEffect.RunIteration run => await IterateAsync(run.Iteration, cancel),
            SourceEffect.PauseMachine pause => await PauseAsync(pause.PauseDeadline, cancel),
            SourceEffect.MoveDevice move => await MoveAsync(move, cancel),
            SourceEffect.Isolate isolate => await IsolateAsync(isolate.Device, cancel),
            SourceEffect.SendFinal => await SendFinalAsync(cancel),
            SourceEffect.CastVote cast => await CastAsync(cast, cancel),
            SourceEffect.Release => await ReleaseAsync(cancel),
            _ => throw new InvalidOperationException($"unknown effect {effect.GetType().Name}"),
        };
    }

    private SourceCommand Translate(SourceEffect effect, Exception error)
    {
        if (error is TransferFailedException { MayResume: true } broke)
            return new SourceCommand.TransferBroke(broke.Message, options.ReconnectLimit, time.GetUtcNow());
        var device = effect is SourceEffect.MoveDevice move ? move.Device : (DeviceName?)null;
        var failure = OperatingFailure.Of(error, "source");
        return new SourceCommand.Failed(device, failure.Code, failure.Reason, time.GetUtcNow());
    }

    private async Task<SourceCommand> ReadSetupAsync(Fence fence, CancellationToken cancel)
    {
        var devices = await OpenDevicesAsync(fence);
        await devices.OpenMachineAsync(cancel);
        var planned = await devices.ProbeAsync(PeerGraph.Of(guest.Spec), cancel);
        var records = await Task.WhenAll(devices.InOrder.Select(device => device.AskAsync<SetupRecord>(
            (reply, token) => new DeviceMessage.ReadSetup(reply, token), cancel)));
        return new SourceCommand.SetupRead(records, planned, time.GetUtcNow());
    }

    private async Task<SourceCommand> ConnectAsync(SourceEffect.ConnectTransfer connect, CancellationToken cancel)
    {
        var state = State();
        var devices = _devices ?? await OpenDevicesAsync(state.Fence);
        if (state.PausedAt is not null) await RequireNotKeptAsync(devices, cancel);
        _transfer ??= await SourceTransfer.OpenAsync(
            devices.Address, devices.InOrder,
            state.Devices.ToDictionary(device => device.Key, device => device.Value.Capabilities),
            state.Models, options with { Bandwidth = bandwidth }, time, cancel);
        await _transfer.ConnectAsync(connect.DataEndpoint, connect.Token, state.PlainAcceptedBy, cancel);
        return new SourceCommand.TransferConnected(connect.Opening, time.GetUtcNow());
    }

    private async Task<SourceCommand> IterateAsync(int iteration, CancellationToken cancel)
    {
        int percent = State().ThrottlePercent;
        if (percent == 0) return await Transfer.RunIterationAsync(iteration, 0, cancel);
        var devices = _devices ?? await OpenDevicesAsync(State().Fence);
        var machine = await devices.OpenMachineAsync(cancel);
        try
        {
            await machine.ThrottleVcpusAsync(percent, ThrottleLease, cancel);
        }
        catch (DeviceRefusedException refused) when (refused.Errno == Errno.EINVAL)
        {
            // A guest process of an earlier release: the pass says that it was not slowed.
            return await Transfer.RunIterationAsync(iteration, 0, cancel);
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        var renewing = RenewThrottleAsync(machine, percent, over.Token);
        try
        {
            return await Transfer.RunIterationAsync(iteration, percent, cancel);
        }
        finally
        {
            await over.CancelAsync();
            await renewing;
        }
    }

    /// <summary>A pass may take longer than the guest process bears a throttle that nobody renews.</summary>
    private async Task RenewThrottleAsync(MachineEndpointClient machine, int percent, CancellationToken over)
    {
        try
        {
            while (true)
            {
                await Task.Delay(ThrottleLease / 3, time, over);
                await machine.ThrottleVcpusAsync(percent, ThrottleLease, over);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or IOException)
        {
            // The pass is over, or the guest process is gone, which others find.
        }
    }

    private async Task<SourceCommand> SendFinalAsync(CancellationToken cancel)
    {
        var state = State();
        var devices = (state.Passes.LastOrDefault()?.Devices ?? []).ToDictionary(device => device.Name);
        var result = await Transfer.SendFinalAsync(
            state.VerifyFull,
            device => devices.TryGetValue(device.Value, out var seen) ? DowntimePredictor.FinalStateMs(state.Passes, seen, state.Costs ?? LearnedCosts.Assumed) : 0,
            cancel);
        return result is SourceCommand.FinalSent { Timings: { } timings } sent
            ? sent with { Timings = timings with { Devices = [.. timings.Devices.Select(WithMoves)] } }
            : result;
    }

    /// <summary>How long its moves took, as far as this life of the daemon made them.</summary>
    private DeviceTimings WithMoves(DeviceTimings device)
    {
        double? Of(DeviceState state) => _moves.TryGetValue((device.Device, state), out double ms) ? ms : null;
        return device with { QuiesceMs = Of(DeviceState.PreCopyP2P) ?? Of(DeviceState.RunningP2P), StopMs = Of(DeviceState.StopCopy) };
    }

    /// <summary>A guest that was paused for too long runs again: what would be sent of it now is nobody's final state.</summary>
    private static async Task RequireNotKeptAsync(SessionDevices devices, CancellationToken cancel)
    {
        var machine = await devices.OpenMachineAsync(cancel);
        if ((await machine.ReadFenceAsync(cancel)).Kept)
            throw new IOException($"{devices.Address.Guest} has kept itself: it was paused for longer than its deadline");
    }

    /// <summary>The last look before the pause: a device may have taken its readiness back since the last pass.</summary>
    private async Task<SourceCommand> PauseAsync(TimeSpan deadline, CancellationToken cancel)
    {
        if (await Transfer.FindUnreadyAsync(cancel) is [_, ..] unready)
            return new SourceCommand.ReadinessTakenBack(unready, time.GetUtcNow());
        var devices = _devices ?? await OpenDevicesAsync(State().Fence);
        await (await devices.OpenMachineAsync(cancel)).SetPauseDeadlineAsync(deadline, cancel);
        return await MoveAsync(new SourceEffect.MoveDevice(DeviceName.Machine, DeviceState.Stop), cancel);
    }

    /// <summary>On the way back a guest that kept itself stands elsewhere than the session thinks: read, then move.</summary>
    private async Task<SourceCommand> MoveAsync(SourceEffect.MoveDevice move, CancellationToken cancel)
    {
        var (device, target) = (move.Device, move.Target);
        var state = State();
        var devices = _devices ?? await OpenDevicesAsync(state.Fence);
        if (state.Phase == SourcePhase.Keeping)
        {
            if (await devices.FindAsync(device, cancel) is { } stands && stands != state.Devices[device.Value].State)
                return new SourceCommand.DeviceArrived(device, stands, time.GetUtcNow());
            if (device != DeviceName.Machine) return await ReturnAsync(devices, move, cancel);
        }

        long asked = Stopwatch.GetTimestamp();
        var reached = await devices.MoveAsync(device, target, move.Limit, cancel);
        _moves[(device.Value, reached)] = Stopwatch.GetElapsedTime(asked).TotalMilliseconds;
        return new SourceCommand.DeviceArrived(device, reached, time.GetUtcNow());
    }

    private async Task<SourceCommand> ReturnAsync(SessionDevices devices, SourceEffect.MoveDevice move, CancellationToken cancel)
    {
        var (stands, failure) = await devices.ReturnAsync(move.Device, move.Target, move.Limit, "source", cancel);
        return failure is { } failed
            ? new SourceCommand.Failed(move.Device, failed.Code, failed.Reason, time.GetUtcNow(), stands)
            : new SourceCommand.DeviceArrived(move.Device, move.Target, time.GetUtcNow());
    }

    private async Task<SourceCommand> IsolateAsync(DeviceName device, CancellationToken cancel)
    {
        var devices = _devices ?? await OpenDevicesAsync(State().Fence);
        await devices.IsolateAsync(device, cancel);
        return new SourceCommand.DeviceIsolated(device, time.GetUtcNow());
    }

    private async Task<SourceCommand> CastAsync(SourceEffect.CastVote cast, CancellationToken cancel)
    {
        // A decision, either way, ends the transfer: after Kept nothing more is sent, after Yielded nothing is left to send.
        if (_transfer is { } transfer) await transfer.StopSendingAsync();
        var devices = _devices is { } open && open.Address.Fence == cast.Fence ? open : await OpenDevicesAsync(cast.Fence);
        var machine = await devices.OpenMachineAsync(cancel);
        try
        {
            await machine.CastVoteAsync(cast.Vote, null, cancel);
            var stands = cast.Vote == Vote.Kept ? await ReadStandsAsync(devices, cancel) : new Dictionary<string, DeviceState>();
            return new SourceCommand.VoteCast(cast.Vote, stands, time.GetUtcNow());
        }
        catch (DeviceRefusedException refused)
        {
            return new SourceCommand.VoteExcluded(cast.Vote, refused.Message, time.GetUtcNow());
        }
    }

    /// <summary>Where every device really stands. One that does not tell is as good as broken: it must not hold the others up.</summary>
    private static async Task<IReadOnlyDictionary<string, DeviceState>> ReadStandsAsync(SessionDevices devices, CancellationToken cancel)
    {
        var stands = await Task.WhenAll(devices.InOrder.Select(async device =>
        {
            var stands = await devices.FindAsync(device.Device, cancel);
            if (stands is null && device.Device == DeviceName.Machine) throw new IOException("the machine does not tell where it stands");
            return (device.Device, State: stands ?? DeviceState.Error);
        }));
        return stands.ToDictionary(pair => pair.Device.Value, pair => pair.State);
    }

    private async Task<SourceCommand> ReleaseAsync(CancellationToken cancel)
    {
        IReadOnlyDictionary<string, string> digests = new Dictionary<string, string>();
        var residue = new List<string>();
        if (guest.IsAlive)
        {
            try
            {
                digests = await ReadDigestsAsync(cancel);
            }
            catch (Exception error) when (error is IOException or ActorFailedException)
            {
                // The checksums are for the report; releasing the guest must not wait for them.
                residue.Add($"device checksums could not be read: {error.Message}");
            }
        }

        await CloseDevicesAsync();
        // What is newer than this attempt came back since, and is not its to release.
        await guest.KillAsync(State().Fence, incomingOnly: false, cancel);
        return new SourceCommand.ReleaseEnded(residue, digests, time.GetUtcNow());
    }

    private async Task<IReadOnlyDictionary<string, string>> ReadDigestsAsync(CancellationToken cancel)
    {
        var state = State();
        var devices = _devices ?? await OpenDevicesAsync(state.Fence);
        await Task.WhenAll(state.Members.Select(device => devices.MoveAsync(device.Name, DeviceState.Stop, null, cancel)));
        return await devices.ReadContentDigestsAsync(cancel);
    }

    public async Task<SourceCommand> ReportDeathAsync(CancellationToken cancellationToken)
    {
        await CloseTransferAsync();
        string reason = $"the guest process of {guest.Name} on the source died";
        try
        {
            if (await guest.KillAsync(State().Fence, incomingOnly: false, cancellationToken) is { } newer)
                return new SourceCommand.GuestDied(false, $"{reason}; {newer}", time.GetUtcNow());
            using var fence = FenceFile.Open(guest.Directory, inheritLock: false, LockWait);
            var (record, refusal) = fence.TryCast(Vote.Yielded, null);
            return new SourceCommand.GuestDied(
                record is not null, refusal is null ? reason : $"{reason}; {refusal}", time.GetUtcNow());
        }
        catch (FenceFileException error)
        {
            return new SourceCommand.GuestDied(false, $"{reason}; {error.Message}", time.GetUtcNow());
        }
    }

    private async Task<SessionDevices> OpenDevicesAsync(Fence fence)
    {
        if (_devices is { } old) await old.DisposeAsync();
        var spec = guest.Spec;
        var address = new GuestAddress(guest.Name, guest.Directory, fence);
        return _devices = new SessionDevices(address, spec.Devices.Select(device => device.Name), name, supervisor, time);
    }

    private async Task CloseTransferAsync()
    {
        if (_transfer is not { } transfer) return;
        _transfer = null;
        await transfer.DisposeAsync();
    }

    private async Task CloseDevicesAsync()
    {
        await CloseTransferAsync();
        if (_devices is not { } devices) return;
        _devices = null;
        await devices.DisposeAsync();
    }

    private ProgressView ProgressOf(SourceState state, SourceTransfer transfer) => new(
        state.Iteration + (state.Phase == SourcePhase.PreCopy ? 1 : 0),
        transfer.RemainingBytes,
        transfer.Counters.PageBytes + transfer.Counters.DeviceBytes,
        transfer.Counters.BytesPerSecond,
        transfer.DirtyBytesPerSecond,
        [
            .. (_devices?.InOrder ?? []).Select(device => new DeviceProgressView(
                device.Device.Value,
                state.Devices.TryGetValue(device.Device.Value, out var planned) ? planned.State.ToString() : "",
                device.SentBytes,
                null)),
        ],
        ResentBytes: transfer.Counters.ResentBytes);

    public async ValueTask DisposeAsync()
    {
        await CloseDevicesAsync();
        bandwidth.Dispose();
    }

    /// <summary>After a restart there is none until it has been connected again.</summary>
    private SourceTransfer Transfer => _transfer
        ?? throw new TransferFailedException(TransferFailureReason.ConnectionLost, "the daemon was restarted");
}
