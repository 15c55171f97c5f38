using System.Globalization;
using MigrationCluster.Devices;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Machine;

/// <summary>The machine's setup record: what of a guest spec its state depends on.</summary>
internal static class MachineSetup
{
    public static SetupRecord Describe(LaunchSpec launch, DeviceShape shape)
    {
        var parameters = new Dictionary<string, string>
        {
            ["memory-mib"] = launch.MemoryMiB.ToString(CultureInfo.InvariantCulture),
            ["vcpus"] = launch.Vcpus.Count.ToString(CultureInfo.InvariantCulture),
            ["pattern"] = launch.Vcpus.Pattern,
            ["devices"] = string.Join(' ', launch.Devices.Select(device => $"{device.Name}:{device.Model}")),
            ["peer-to-peer"] = string.Join(' ', launch.Devices.SelectMany(
                device => device.PeerToPeer.Select(peer => $"{device.Name}>{peer}"))),
        };
        return new SetupRecord(
            DeviceName.Machine.Value, MachineState.Model, DeviceSetup.ShapeOf(shape), (ulong)MigrationCapabilities.StopCopy,
            parameters, VersionString: null, [MachineState.StreamFormat], [MachineState.StreamFormat]);
    }
}
