using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Guest.Relay;

/// <summary>The setup record of one device of a guest.</summary>
internal static class DeviceSetup
{
    public static SetupRecord Describe(LaunchDevice launch, int slot, DeviceShape shape, MigrationCapabilities capabilities)
    {
        var own = DescriptorShape.Of(DescriptorKind.Device, shape) with { Capabilities = capabilities };
        if (launch.Model is null) return new SetupRecord(launch.Name, slot, own);
        var model = DeviceModels.Describe(launch.Model, null, launch.Parameters);
        return new SetupRecord(launch.Name, slot, model with
        {
            Kind = DescriptorKind.Device,
            Regions = own.Regions,
            Interrupts = own.Interrupts,
            Capabilities = capabilities,
        });
    }
}
