using System.Text;
using System.Text.Json;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>What a device says it is. Only our extension carries it; of a foreign device there is what vfio-user shows.</summary>
public partial class VfioUserClient
{
    private const int ConfigRegion = 7;
    private const int ConfigBytes = 256;

    /// <exception cref="DeviceRefusedException">EOPNOTSUPP: the server does not speak our extension, or this device describes nothing.</exception>
    public async ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken)
    {
        if (!SpeaksExtension) throw NoExtension();
        byte[] json = await FetchAsync(ExtensionCommand.Describe, default, cancellationToken);
        return Parse(() => SetupJson.ReadDescriptor(json));
    }

    public async ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken)
    {
        if (!SpeaksExtension) throw NoExtension();
        await AskAsync(
            (ushort)ExtensionCommand.CheckVersion, Encoding.UTF8.GetBytes(version), default, default, default, cancellationToken);
    }

    /// <summary>
    /// What the device says of itself; of a server that says nothing: its shape, its identity and capability list from config space, and
    /// the migration capabilities it was probed for. No model then: its vendor's state is nobody's to guess.
    /// </summary>
    public async ValueTask<DeviceDescriptor> CollectDescriptorAsync(
        MigrationCapabilities capabilities, CancellationToken cancellationToken)
    {
        try
        {
            return await DescribeAsync(cancellationToken);
        }
        catch (DeviceRefusedException e) when (e.Errno == Errno.EOPNOTSUPP)
        {
            var (identity, configCapabilities) = PciIdentity.Read(await ReadConfigAsync(cancellationToken));
            return DescriptorShape.Of(DescriptorKind.Device, Shape) with
            {
                Identity = identity,
                ConfigCapabilities = configCapabilities,
                Capabilities = capabilities,
            };
        }
    }

    /// <returns>the first 256 bytes of config space, less where the device has less; empty: it shows none.</returns>
    public async ValueTask<byte[]> ReadConfigAsync(CancellationToken cancellationToken)
    {
        var region = Shape.Regions.FirstOrDefault(region => region.Index == ConfigRegion);
        if (region is not { Readable: true }) return [];
        byte[] config = new byte[Math.Min(region.SizeBytes, ConfigBytes)];
        await ReadRegionAsync(ConfigRegion, 0, config, cancellationToken);
        return config;
    }

    private protected T Parse<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (JsonException e)
        {
            throw Broken($"sends a malformed text: {e.Message}");
        }
    }

    private DeviceRefusedException NoExtension() =>
        new($"{SocketPath} is a server of another make, which does not describe its device", Errno.EOPNOTSUPP);
}
