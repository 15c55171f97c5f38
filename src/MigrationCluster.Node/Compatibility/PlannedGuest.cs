using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>A running guest as planning sees it: its row, its spec, and what its real devices say of themselves.</summary>
/// <param name="Offers">of the host it is on; null: that host does not say, so nothing is known of the way back.</param>
public sealed record PlannedGuest(GuestRecord Record, GuestSpec Spec, GuestSetup Setup, AgentOffers? Offers)
{
    public HostName Home => Record.Row.Owner;

    /// <summary>Every device that answered, in the order of the spec.</summary>
    public IReadOnlyList<GuestDevice> Devices { get; } =
    [
        .. from device in Spec.Devices
        join record in Setup.Records on device.Name equals record.Device
        select new GuestDevice(device.Name, device.Template, record.Descriptor),
    ];

    /// <summary>What a destination's devices are created with.</summary>
    public IReadOnlyList<DeviceConfiguration> Configuration { get; } = DeviceConfiguration.Of(Setup.Records);

    public IReadOnlyList<(string Name, IReadOnlyList<string> Peers)> PeerToPeer { get; } =
        [.. Spec.Devices.Select(device => (device.Name, device.PeerToPeer ?? []))];
}
