using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices;

/// <summary>The part of a descriptor that a device's shape gives, whoever serves it.</summary>
public static class DescriptorShape
{
    public static DeviceDescriptor Of(DescriptorKind kind, DeviceShape shape) => DeviceDescriptor.Empty(kind) with
    {
        Regions = [.. shape.Regions.Where(region => region.SizeBytes > 0).OrderBy(region => region.Index).Select(region =>
            new RegionDescriptor(region.Index, region.SizeBytes, region.Readable, region.Writable, region.Mappable))],
        Interrupts = [.. shape.Interrupts.Where(interrupt => interrupt.Count > 0).OrderBy(interrupt => interrupt.Index)
            .Select(interrupt => new InterruptDescriptor(interrupt.Index, interrupt.Count))],
    };
}
