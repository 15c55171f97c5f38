using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Protocol.Migration;

/// <summary>
/// What a running device is configured with: the destination creates its device with these values, whatever version its own
/// template stands for. The model is not among them: a host takes that from its own template only.
/// </summary>
/// <param name="Parameters">values by name; one that is absent has its off value.</param>
public sealed record DeviceConfiguration(string Device, IReadOnlyDictionary<string, string> Parameters)
{
    /// <summary>Of every device but the machine, which is made from the guest's spec.</summary>
    public static IReadOnlyList<DeviceConfiguration> Of(IEnumerable<SetupRecord> records) =>
    [
        .. records.Where(record => record.Device != DeviceName.Machine.Value).Select(record => new DeviceConfiguration(
            record.Device,
            record.Descriptor.Parameters.Where(parameter => parameter.Value != parameter.Off)
                .DistinctBy(parameter => parameter.Name).ToDictionary(parameter => parameter.Name, parameter => parameter.Value))),
    ];
}
