using MigrationCluster.Devices;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Node.Transfers;

/// <summary>The device actors of one guest on one side of one migration, the machine's among them.</summary>
/// <remarks>Their order, by name, is the data-plane session's order of device indices; both sides derive it alike.</remarks>
public sealed class SessionDevices : IAsyncDisposable
{
    /// <summary>The machine's: it is in none.</summary>
    public const int NoGroup = -1;

    /// <summary>What is asked where it stands has just failed to move, and others wait.</summary>
    private static readonly TimeSpan TellLimit = TimeSpan.FromSeconds(2);

    private readonly SortedDictionary<string, DeviceActor> _actors = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _lineTurn = new(1, 1);
    private readonly TimeProvider _time;
    private MachineEndpointClient? _line;

    public SessionDevices(GuestAddress address, IEnumerable<string> devices, string name, ISupervisor supervisor, TimeProvider time)
    {
        Address = address;
        _time = time;
        foreach (string device in devices.Append(DeviceName.Machine.Value))
        {
            var actor = new DeviceActor($"{name}/{device}", address, new DeviceName(device), supervisor, time);
            _actors.Add(device, actor);
            actor.Start();
        }

        InOrder = [.. _actors.Values];
    }

    public GuestAddress Address { get; }

    public IReadOnlyList<DeviceActor> InOrder { get; }

    public DeviceActor this[DeviceName device] => _actors[device.Value];

    /// <summary>Probes every device; in which group each is follows from what they all can do.</summary>
    public async Task<IReadOnlyList<PlannedDevice>> ProbeAsync(PeerGraph graph, CancellationToken cancellationToken)
    {
        var probed = await Task.WhenAll(_actors.Values.Select(actor => actor.AskAsync<PlannedDevice>(
            (reply, cancel) => new DeviceMessage.Probe(reply, cancel), cancellationToken)));
        var groups = graph.Groups(probed.ToDictionary(device => device.Name.Value, device => device.Capabilities));
        return [.. probed.Select(device => device with { Group = groups.GetValueOrDefault(device.Name.Value, NoGroup) })];
    }

    /// <param name="limit">null: as long as a command may take.</param>
    /// <exception cref="TimeoutException">not in time; where the device stands then is not known.</exception>
    public async Task<DeviceState> MoveAsync(
        DeviceName device, DeviceState target, TimeSpan? limit, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(limit ?? Timeout.InfiniteTimeSpan, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            return await this[device].AskAsync<DeviceState>(
                (reply, cancel) => new DeviceMessage.Move(target, reply, cancel), linked.Token);
        }
        catch (OperationCanceledException) when (late.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new TimeoutException($"{device} did not reach {target} within {limit!.Value.TotalSeconds:0.#} s");
        }
    }

    /// <summary>Where a device stands, if it tells in time.</summary>
    /// <returns>null: it does not tell.</returns>
    public async Task<DeviceState?> FindAsync(DeviceName device, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(TellLimit, _time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            return await ReadStateAsync(device, linked.Token);
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested
            && error is IOException or ActorFailedException or OperationCanceledException)
        {
            return null;
        }
    }

    /// <summary>A member on its way to Running. A move that failed may rest anywhere, so the device is asked where it stands.</summary>
    /// <returns>where it stands, and the failure; no failure: it is where it was to go.</returns>
    public async Task<(DeviceState? Stands, OperatingFailure? Failure)> ReturnAsync(
        DeviceName device, DeviceState target, TimeSpan? limit, string side, CancellationToken cancellationToken)
    {
        try
        {
            return (await MoveAsync(device, target, limit, cancellationToken), null);
        }
        catch (Exception error) when (error is IOException or ActorFailedException or TimeoutException)
        {
            var stands = await FindAsync(device, cancellationToken);
            if (stands == target) return (stands, null);
            var failure = OperatingFailure.Of(error, side);
            string where = stands is { } state ? $"it stands in {state}" : "it does not tell where it stands";
            return (stands, failure with { Reason = $"{device} is left behind on its way to {target}, {where}: {failure.Reason}" });
        }
    }

    /// <summary>The session's own connection to the machine, for what must not wait for anything that the machine's actor does: votes, the pause
    /// deadline. A new connection asks for every region first; opened before the blackout, none has to be in it.</summary>
    /// <returns>the session's: not to be disposed. One that was lost is opened anew.</returns>
    public async Task<MachineEndpointClient> OpenMachineAsync(CancellationToken cancellationToken)
    {
        await _lineTurn.WaitAsync(cancellationToken);
        try
        {
            if (_line is { Closed.IsCompleted: false } open) return open;
            if (_line is { } lost) await lost.DisposeAsync();
            _line = null;
            return _line = (MachineEndpointClient)await Address.OpenAsync(DeviceName.Machine, cancellationToken);
        }
        finally
        {
            _lineTurn.Release();
        }
    }

    /// <summary>Has the guest process unmap every P2P edge of a device, and run without it.</summary>
    public async Task IsolateAsync(DeviceName device, CancellationToken cancellationToken)
    {
        await using var machine = (MachineEndpointClient)await Address.OpenAsync(DeviceName.Machine, cancellationToken);
        try
        {
            await machine.IsolateDeviceAsync(device, cancellationToken);
        }
        catch (DeviceRefusedException refused) when (refused.Errno == Errno.EINVAL)
        {
            // A guest process of an earlier release has no such command. It refuses P2P writes into a device that stands still.
        }
    }

    public Task<DeviceState> ReadStateAsync(DeviceName device, CancellationToken cancellationToken) =>
        this[device].AskAsync<DeviceState>((reply, cancel) => new DeviceMessage.ReadState(reply, cancel), cancellationToken);

    /// <summary>Checksums of every device's content but the machine's, which has none of its own; stopped devices only.</summary>
    public async Task<IReadOnlyDictionary<string, string>> ReadContentDigestsAsync(CancellationToken cancellationToken)
    {
        var actors = _actors.Values.Where(actor => actor.Device != DeviceName.Machine).ToList();
        string[] digests = await Task.WhenAll(actors.Select(actor => actor.AskAsync<string>(
            (reply, cancel) => new DeviceMessage.ReadContentDigest(reply, cancel), cancellationToken)));
        return actors.Zip(digests).ToDictionary(pair => pair.First.Device.Value, pair => pair.Second);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var actor in _actors.Values) await actor.DisposeAsync();
        if (_line is { } line) await line.DisposeAsync();
        _lineTurn.Dispose();
    }
}
