using System.Globalization;
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
        string format = DeviceModels.StreamFormat(launch.Model);
        var parameters = DeviceModels.Check(launch.Model, launch.Parameters).Effective;
        return new SetupRecord(launch.Name, slot, DescriptorOf(shape) with
        {
            Model = launch.Model,
            Parameters = [.. DeviceModels.ParametersOf(launch.Model).Select(p => new ParameterDescriptor(
                p.Name, ParameterType.Number, ParameterComparator.Equal, parameters[p.Name],
                p.Default.ToString(CultureInfo.InvariantCulture), SupportedValues.Range(p.Minimum, p.Maximum)))],
            StreamFormatsWritten = [format],
            StreamFormatsRead = [format],
            Capabilities = capabilities,
        });
    }

    public static DeviceDescriptor DescriptorOf(DeviceShape shape) => DeviceDescriptor.Empty(DescriptorKind.Device) with
    {
        Regions = [.. shape.Regions.Where(region => region.SizeBytes > 0).OrderBy(region => region.Index).Select(region =>
            new RegionDescriptor(region.Index, region.SizeBytes, region.Readable, region.Writable, region.Mappable))],
        Interrupts = [.. shape.Interrupts.Where(interrupt => interrupt.Count > 0).OrderBy(interrupt => interrupt.Index)
            .Select(interrupt => new InterruptDescriptor(interrupt.Index, interrupt.Count))],
    };
}
