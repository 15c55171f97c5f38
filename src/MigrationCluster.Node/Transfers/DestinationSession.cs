using System.Security.Cryptography;
using MigrationCluster.DataPlane;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.DataPlane;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Node.Transfers;

/// <summary>Carries out the destination machine's effects for one migration, with real devices and the real data plane.</summary>
/// <param name="expiry">how long an incoming guest that is not verified is kept when nobody is heard of.</param>
public sealed class DestinationSession(
    SessionGuest guest, DataPlaneListener dataPlane, TimeSpan expiry, string name, ISupervisor supervisor, TimeProvider time)
    : IDestinationHands, IDeviceStateSink
{
    private readonly Silence _silence = new(time);
    private SessionDevices? _devices;
    private MappedGuest? _ram;
    private TransferReceiver? _receiver;

    public Func<DestinationState> State { get; set; } = () => DestinationState.New;

    public Action Launched { get; set; } = () => { };

    public void OnOrder() => _silence.Break();

    public EffectRunner<DestinationEffect, DestinationCommand> Runner => new(RunAsync, Translate);

    public Task WatchDeathAsync(CancellationToken cancellationToken) => guest.WatchDeathAsync(cancellationToken);

    public async Task<DestinationCommand> WatchDevicesAsync(CancellationToken cancellationToken)
    {
        var died = await guest.WatchDevicesAsync(cancellationToken);
        return new DestinationCommand.DeviceDied(
            died.Device, $"the device server of {died.Device} of the incoming {guest.Name}, process {died.ProcessId}, died", time.GetUtcNow());
    }

    private async Task<DestinationCommand?> RunAsync(DestinationEffect effect, CancellationToken cancel)
    {
        bool needsGuest = effect is not (DestinationEffect.LaunchIncoming or DestinationEffect.Discard
            or DestinationEffect.ProveNeverRan or DestinationEffect.AwaitWord);
        if (needsGuest && !guest.IsAlive)
            return new DestinationCommand.GuestDied(
                $"the incoming guest process of {guest.Name} on the destination died", time.GetUtcNow());
        return effect switch
        {
            DestinationEffect.LaunchIncoming launch => await LaunchAsync(launch.Fence, cancel),
            DestinationEffect.ConfirmSetup => await ConfirmSetupAsync(cancel),
            DestinationEffect.MoveDevice move => await MoveAsync(move, cancel),
            DestinationEffect.Isolate isolate => await IsolateAsync(isolate.Device, cancel),
            DestinationEffect.ReopenTransfer => await ReopenAsync(cancel),
            DestinationEffect.Receive => await ReceiveAsync(cancel),
            DestinationEffect.VoteVerified vote => await VoteVerifiedAsync(vote.Digest, cancel),
            DestinationEffect.TakePermit permit => await TakePermitAsync(permit.Fence, cancel),
            DestinationEffect.AwaitWord => await AwaitWordAsync(cancel),
            DestinationEffect.Discard discard => await DiscardAsync(discard.Fence, cancel),
            DestinationEffect.ProveNeverRan prove => await ProveAsync(prove.Fence, cancel),
            _ => throw new InvalidOperationException($"unknown effect {effect.GetType().Name}"),
        };
    }

    /// <returns>null: nothing has failed, it is tried again.</returns>
    private DestinationCommand.Failed? Translate(DestinationEffect effect, Exception error) =>
        effect is DestinationEffect.ReopenTransfer && HoldsEverything ? null
            : Failed(effect is DestinationEffect.MoveDevice move ? move.Device : null, error);

    private bool HoldsEverything => State().Phase > DestinationPhase.Receiving;

    private DestinationCommand.Failed Failed(DeviceName? device, Exception error)
    {
        var failure = OperatingFailure.Of(error, "destination");
        return new DestinationCommand.Failed(device, failure.Code, failure.Reason, time.GetUtcNow());
    }

    private async Task<DestinationCommand> LaunchAsync(Fence fence, CancellationToken cancel)
    {
        await CloseAsync();
        var owner = new LaunchOwner(State().Migration.Value, State().Coordinator?.Value);
        await guest.LaunchIncomingAsync(State().SpecJson, State().Configuration, fence, owner, cancel);
        Launched();
        await OpenDevices().OpenMachineAsync(cancel);
        var planned = await OpenDevices().ProbeAsync(PeerGraph.Of(guest.Spec), cancel);
        string token = await OpenReceiverAsync(cancel);
        return new DestinationCommand.IncomingLaunched(dataPlane.EndPoint.ToString(), token, planned, time.GetUtcNow());
    }

    /// <summary>A later life of the daemon: the guest process holds what has arrived.</summary>
    private async Task<DestinationCommand> ReopenAsync(CancellationToken cancel)
    {
        await CloseReceiverAsync();
        Launched();
        string token = await OpenReceiverAsync(cancel);
        // A source that has had the verdict does not come any more.
        if (!HoldsEverything) _receiver!.ExpectLink();
        return new DestinationCommand.TransferOpened(dataPlane.EndPoint.ToString(), token, time.GetUtcNow());
    }

    private async Task<string> OpenReceiverAsync(CancellationToken cancel)
    {
        var devices = OpenDevices();
        _ram = await MappedGuest.OpenAsync(devices.Address, cancel);
        var token = new SessionToken(RandomNumberGenerator.GetBytes(SessionToken.SizeBytes));
        var mode = TransferModes.Of(dataPlane.EndPoint, State().PlainAcceptedBy);
        _receiver = dataPlane.Open(token, mode, _ram.Ram, this, devices.InOrder.Count, HoldsEverything);
        return token.ToHexadecimal();
    }

    private async Task<DestinationCommand> MoveAsync(DestinationEffect.MoveDevice move, CancellationToken cancel)
    {
        if (State().Phase != DestinationPhase.Resuming || move.Device == DeviceName.Machine)
            return new DestinationCommand.DeviceArrived(
                move.Device, await OpenDevices().MoveAsync(move.Device, move.Target, move.Limit, cancel), time.GetUtcNow());
        var (stands, failure) = await OpenDevices().ReturnAsync(move.Device, move.Target, move.Limit, "destination", cancel);
        return failure is { } failed
            ? new DestinationCommand.Failed(move.Device, failed.Code, failed.Reason, time.GetUtcNow(), stands)
            : new DestinationCommand.DeviceArrived(move.Device, move.Target, time.GetUtcNow());
    }

    private async Task<DestinationCommand> IsolateAsync(DeviceName device, CancellationToken cancel)
    {
        await OpenDevices().IsolateAsync(device, cancel);
        return new DestinationCommand.DeviceIsolated(device, time.GetUtcNow());
    }

    private async Task<DestinationCommand> ConfirmSetupAsync(CancellationToken cancel)
    {
        var devices = OpenDevices();
        var names = devices.InOrder.Select(device => device.Device.Value).ToHashSet();
        var records = State().Records;
        var shared = records.Where(record => names.Contains(record.Device)).DistinctBy(record => record.Device);
        var answers = await Task.WhenAll(shared.Select(async record =>
            (record.Device, Verdict: await devices[new DeviceName(record.Device)].AskAsync<Verdict>(
                (reply, token) => new DeviceMessage.CheckSetup(record, reply, token), cancel))));
        return SetupJudgement.Of(
            records, names, answers.ToDictionary(answer => answer.Device, answer => answer.Verdict), time.GetUtcNow());
    }

    /// <returns>null: the daemon has just come back, and the data plane is not open yet.</returns>
    private async Task<DestinationCommand?> ReceiveAsync(CancellationToken cancel)
    {
        if (_receiver is not { } receiver) return null;
        var manifest = await receiver.Completion.WaitAsync(cancel);
        return new DestinationCommand.StreamReceived(manifest.Digest, time.GetUtcNow());
    }

    private async Task<DestinationCommand> VoteVerifiedAsync(string digest, CancellationToken cancel)
    {
        var devices = OpenDevices();
        // The receiver is frozen since the manifest was agreed upon. It and the mapping of guest RAM are let go when the guest
        // runs: unmapping takes as long as RAM is large.
        var contents = await devices.ReadContentDigestsAsync(cancel);
        var machine = await devices.OpenMachineAsync(cancel);
        await machine.CastVoteAsync(Vote.Verified, digest, cancel);
        return new DestinationCommand.VerifiedVoted(contents, time.GetUtcNow());
    }

    private async Task<DestinationCommand> TakePermitAsync(Fence fence, CancellationToken cancel)
    {
        // A vote under a later term pre-empts the sessions of the earlier one: the devices are moved under the later one too.
        if (_devices is { } earlier && earlier.Address.Fence != fence)
        {
            _devices = null;
            await earlier.DisposeAsync();
        }

        var machine = await OpenDevices().OpenMachineAsync(cancel);
        await machine.CastVoteAsync(Vote.Permit, null, cancel);
        return new DestinationCommand.PermitVoted(time.GetUtcNow());
    }

    private async Task<DestinationCommand> AwaitWordAsync(CancellationToken cancel)
    {
        await _silence.LastsAsync(expiry, () => _receiver is { IsConnected: true }, cancel);
        return new DestinationCommand.Expired(expiry, time.GetUtcNow());
    }

    private async Task<DestinationCommand> DiscardAsync(Fence fence, CancellationToken cancel)
    {
        long? received = _receiver?.Counters is { } counters ? counters.PageBytes + counters.DeviceBytes : null;
        // The source hears first of a transfer that breaks here, and an abort may be back before this side has said why.
        var broken = _receiver?.Failure is { } failure ? Failed(null, failure) : null;
        await CloseAsync();
        // What is newer than this order, or an owner, belongs to somebody else and is left alone.
        await guest.KillAsync(fence, incomingOnly: true, cancel);
        return new DestinationCommand.DiscardEnded(time.GetUtcNow(), received, broken);
    }

    /// <summary>A guest that took its permit is never touched: it may be running.</summary>
    private async Task<DestinationCommand> ProveAsync(Fence fence, CancellationToken cancel)
    {
        try
        {
            // It voted, so there was one: what it said last is not known any more.
            if (FenceFile.Read(guest.Directory) is null)
                return new DestinationCommand.ProofEnded(false, "its fence file is gone", time.GetUtcNow());
            await CloseAsync();
            string? reason = await guest.KillAsync(fence, incomingOnly: true, cancel);
            return new DestinationCommand.ProofEnded(reason is null, reason ?? "", time.GetUtcNow());
        }
        catch (FenceFileException error)
        {
            return new DestinationCommand.ProofEnded(false, error.Message, time.GetUtcNow());
        }
    }

    async ValueTask<DeviceStream> IDeviceStateSink.GetAcceptedAsync(int device, CancellationToken cancellationToken)
    {
        var accepted = await OpenDevices().InOrder[device].AskAsync<StreamDigest>(
            (reply, cancel) => new DeviceMessage.ReadStreamDigest(reply, cancel), cancellationToken);
        return new DeviceStream(device, accepted.Bytes, accepted.Crc32C);
    }

    Memory<byte> IDeviceStateSink.NewBuffer(int sizeBytes) => StreamBuffer.Create(sizeBytes).Memory;

    async ValueTask IDeviceStateSink.WriteAsync(
        int device, ulong offset, ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        await OpenDevices().InOrder[device].AskAsync<bool>(
            (reply, cancel) => new DeviceMessage.LoadChunk(offset, data, reply, cancel), cancellationToken);

    /// <summary>Every chunk of it was written and accepted by then: loading is what the sink's calls wait for.</summary>
    ValueTask IDeviceStateSink.EndInitialBytesAsync(int device, CancellationToken cancellationToken) => default;

    /// <summary>What the device's own side counted must be what was sent.</summary>
    async ValueTask IDeviceStateSink.EndAsync(int device, ulong bytes, uint crc32C, CancellationToken cancellationToken)
    {
        var actor = OpenDevices().InOrder[device];
        var loaded = await actor.AskAsync<StreamDigest>(
            (reply, cancel) => new DeviceMessage.ReadStreamDigest(reply, cancel), cancellationToken);
        if (loaded != new StreamDigest(bytes, crc32C))
            throw new IOException($"{actor.Device} took {loaded}, {bytes} bytes with CRC-32C {crc32C:x8} were sent");
    }

    private SessionDevices OpenDevices()
    {
        if (_devices is { } open) return open;
        var address = new GuestAddress(guest.Name, guest.Directory, State().Fence);
        var spec = guest.Spec;
        return _devices = new SessionDevices(address, spec.Devices.Select(device => device.Name), name, supervisor, time);
    }

    private async Task CloseReceiverAsync()
    {
        if (_receiver is { } receiver)
        {
            _receiver = null;
            await receiver.DisposeAsync();
        }

        if (_ram is { } ram)
        {
            _ram = null;
            await ram.DisposeAsync();
        }
    }

    private async Task CloseAsync()
    {
        await CloseReceiverAsync();
        if (_devices is not { } devices) return;
        _devices = null;
        await devices.DisposeAsync();
    }

    public async ValueTask DisposeAsync() => await CloseAsync();
}
