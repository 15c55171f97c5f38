using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Engine;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Compatibility;

/// <summary>A running guest as planning sees it: its row, its spec, and what its real devices say of themselves.</summary>
/// <param name="Setup">null: the release of its host does not tell.</param>
/// <param name="Offers">of the host it is on.</param>
public sealed record PlannedGuest(GuestRecord Record, GuestSpec Spec, GuestSetup? Setup, AgentOffers Offers)
{
    public HostName Home => Record.Row.Owner;

    /// <summary>Every device that answered, in the order of the spec; of those that nobody tells of nothing is known.</summary>
    public IReadOnlyList<GuestDevice> Devices { get; } = Setup is null
        ? [.. Spec.Devices.Select(device => new GuestDevice(device.Name, device.Template, DeviceDescriptor.Empty(DescriptorKind.Device)))]
        :
        [
            .. from device in Spec.Devices
            join record in Setup.Records on device.Name equals record.Device
            select new GuestDevice(device.Name, device.Template, record.Descriptor),
        ];

    /// <summary>What a destination's devices are created with; null: its own templates' values.</summary>
    public IReadOnlyList<DeviceConfiguration>? Configuration { get; } = Setup is null ? null : DeviceConfiguration.Of(Setup.Records);

    public IReadOnlyList<Refusal> Unanswered => Setup?.Unanswered ?? [];

    /// <summary>As its spec declares them, and as its process says it has mapped them.</summary>
    public PeerGraph PeerToPeer { get; } = PeerGraph
        .Of(Spec.Devices.Select(device => (device.Name, device.PeerToPeer ?? [], device.PeerToPeerRemovable)))
        .With(Setup?.Records.FirstOrDefault(record => record.Device == DeviceName.Machine.Value)?.Descriptor.Parameters
            .FirstOrDefault(parameter => parameter.Name == MachineParameters.PeerToPeer)?.Value ?? "");
}
