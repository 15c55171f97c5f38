using System.Buffers.Binary;
using MigrationCluster.Devices.Sysfs;
using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices;

/// <summary>What a config space read from a device (region 7) gives a descriptor.</summary>
public static class PciIdentity
{
    private const int SubsystemOffset = 0x2C;
    private const int HeaderBytes = 64;

    /// <summary>Never throws: of a short or absent config space it says what can be known.</summary>
    /// <returns>identity, null for what is no config space; capability ids in the list's order, none where the list is broken.</returns>
    public static (DeviceIdentity? Identity, IReadOnlyList<int> Capabilities) Read(ReadOnlySpan<byte> config)
    {
        if (config.Length < HeaderBytes || U16(config, 0) is 0 or 0xFFFF) return (null, []);
        var identity = new DeviceIdentity(U16(config, 0), U16(config, 2), U16(config, SubsystemOffset), U16(config, SubsystemOffset + 2));
        return (identity, PciConfigSpace.Parse(config, out _)?.CapabilityIds ?? []);
    }

    private static ushort U16(ReadOnlySpan<byte> config, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(config[offset..]);
}
