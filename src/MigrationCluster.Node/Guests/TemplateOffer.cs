using MigrationCluster.Devices.Emulated;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Node.Guests;

/// <summary>What this host could create of one of its device templates.</summary>
public static class TemplateOffer
{
    /// <summary>Of a command nobody knows what device it serves before it runs: the real one is asked at save_setup.</summary>
    /// <remarks>Of a mediated type its name is the model; the rest of it shows once a device is created. A kernel device that exists is not
    /// opened for this: it may be a guest's.</remarks>
    public static DeviceDescriptor Of(DeviceTemplate template) => template.Model is { } model
        ? DeviceModels.Describe(model, template.Version, template.Parameters ?? DeviceTemplate.NoParameters)
        : DeviceDescriptor.Empty(DescriptorKind.Template) with { Model = template.Vfio?.Type };
}
