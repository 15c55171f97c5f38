using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Tests;

public class PciIdentityTests
{
    [Fact]
    public void Ids_and_the_capability_list_are_read()
    {
        byte[] config = Config(first: 0x50);
        (config[0x50], config[0x51]) = (0x05, 0x63); // the low two bits are reserved
        (config[0x60], config[0x61]) = (0x10, 0);
        var (identity, capabilities) = PciIdentity.Read(config);
        Assert.Equal(new DeviceIdentity(0x1AF4, 0x1041, 0x1AF4, 0x1100), identity);
        Assert.Equal([0x05, 0x10], capabilities);
    }

    [Fact]
    public void A_broken_list_leaves_the_identity()
    {
        byte[] config = Config(first: 0x50);
        (config[0x50], config[0x51]) = (0x05, 0x50);
        var (identity, capabilities) = PciIdentity.Read(config);
        Assert.NotNull(identity);
        Assert.Empty(capabilities);
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(63, 0x1A)]
    [InlineData(256, 0)]
    [InlineData(256, 0xFF)]
    public void What_is_no_config_space_has_no_identity(int length, byte fill)
    {
        byte[] config = new byte[length];
        Array.Fill(config, fill);
        Assert.Null(PciIdentity.Read(config).Identity);
    }

    [Fact]
    public void Any_bytes_are_read_without_an_exception()
    {
        var random = new Random(7);
        byte[] config = new byte[256];
        for (int round = 0; round < 2000; round++)
        {
            random.NextBytes(config);
            Assert.True(PciIdentity.Read(config.AsSpan(0, random.Next(257))).Capabilities.Count <= 64);
        }
    }

    private static byte[] Config(byte first)
    {
        byte[] config = new byte[256];
        (config[0], config[1], config[2], config[3]) = (0xF4, 0x1A, 0x41, 0x10);
        (config[0x2C], config[0x2D], config[0x2E], config[0x2F]) = (0xF4, 0x1A, 0x00, 0x11);
        config[0x06] = 1 << 4;
        config[0x34] = first;
        return config;
    }
}
