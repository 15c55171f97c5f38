using MigrationCluster.Node.Actors;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Node.Transfers;

/// <summary>The device actors of one guest on one side of one migration, the machine's among them.</summary>
/// <remarks>Their order, by name, is the data-plane session's order of device indices; both sides derive it alike.</remarks>
public sealed class SessionDevices : IAsyncDisposable
{
    private readonly SortedDictionary<string, DeviceActor> _actors = new(StringComparer.Ordinal);

    public SessionDevices(GuestAddress address, IEnumerable<string> devices, string name, ISupervisor supervisor, TimeProvider time)
    {
        Address = address;
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

    /// <summary>Probes every device, and the group each belongs to.</summary>
    public async Task<IReadOnlyList<PlannedDevice>> ProbeAsync(
        IReadOnlyDictionary<string, int> groups, CancellationToken cancellationToken) =>
        await Task.WhenAll(_actors.Values.Select(actor => actor.AskAsync<PlannedDevice>(
            (reply, cancel) => new DeviceMessage.Probe(groups.GetValueOrDefault(actor.Device.Value, -1), reply, cancel),
            cancellationToken)));

    public Task<DeviceState> MoveAsync(DeviceName device, DeviceState target, CancellationToken cancellationToken) =>
        this[device].AskAsync<DeviceState>((reply, cancel) => new DeviceMessage.Move(target, reply, cancel), cancellationToken);

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
    }
}
