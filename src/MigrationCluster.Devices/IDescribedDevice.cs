using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices;

/// <summary>A device that says itself what it is, and which version strings it accepts (docs/vfio-user-extension.md).</summary>
public interface IDescribedDevice
{
    ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken);

    /// <summary>Puts a source device's opaque version string to this device: it takes that device's state, or throws.</summary>
    /// <exception cref="DeviceRefusedException">EINVAL: it does not; EOPNOTSUPP: this device answers to none.</exception>
    ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken);
}
