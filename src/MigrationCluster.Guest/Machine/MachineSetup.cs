using System.Globalization;
using MigrationCluster.Devices;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Machine;

/// <summary>The machine's setup record: what of a guest spec its state depends on.</summary>
internal static class MachineSetup
{
    /// <summary>The machine is in no slot: it is what the slots belong to.</summary>
    private const int MachineSlot = -1;

    public static SetupRecord Describe(LaunchSpec launch, DeviceShape shape, IReadOnlyList<DeviceRelay> devices, PeerLinks links)
    {
        var parameters = new Dictionary<string, string>
        {
            ["memory-mib"] = launch.MemoryMiB.ToString(CultureInfo.InvariantCulture),
            ["vcpus"] = launch.Vcpus.Count.ToString(CultureInfo.InvariantCulture),
            ["pattern"] = launch.Vcpus.Pattern,
            [MachineParameters.PeerToPeer] = PeerGraph.Write(links.Edges),
        };
        // A parameter a slot: one that is missing, extra or another is found beside all others.
        foreach (var (slot, device) in devices.Index()) parameters[$"slot-{slot}"] = Occupant(device);
        return new SetupRecord(DeviceName.Machine.Value, MachineSlot, DescriptorShape.Of(DescriptorKind.Device, shape) with
        {
            Model = MachineState.Model,
            Parameters = [.. parameters.Select(p => new ParameterDescriptor(
                p.Key, ParameterType.Text, ParameterComparator.Equal, p.Value, Off: ""))],
            StreamFormatsWritten = [MachineState.StreamFormat],
            StreamFormatsRead = [MachineState.StreamFormat],
            Capabilities = MigrationCapabilities.StopCopy,
        });
    }

    /// <summary>What the machine's state holds of a device: its name and its interrupts.</summary>
    private static string Occupant(DeviceRelay device) => string.Join(' ',
    [
        device.Name,
        .. device.Shape.Interrupts.Select(interrupt => string.Create(
            CultureInfo.InvariantCulture, $"interrupt {interrupt.Index} x {interrupt.Count}")),
    ]);
}
