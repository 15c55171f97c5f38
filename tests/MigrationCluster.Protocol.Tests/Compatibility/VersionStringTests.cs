using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Protocol.Tests.Compatibility;

public sealed class VersionStringTests
{
    [Fact(DisplayName = "000: the common part is vendor id | device type << 16")]
    public void The_common_part_of_the_threads_example_is_Intel_PCI()
    {
        var version = VersionString.Decode("00028086-193b-i915-GVTg_V5_4")!;
        Assert.Equal((0x8086, 2, "pci"), (version.VendorId, version.DeviceType, version.DeviceTypeName));
        Assert.Equal("193b-i915-GVTg_V5_4", version.VendorPart);
    }

    [Fact]
    public void A_type_without_a_name_shows_its_bits() =>
        Assert.Equal("0x0003", VersionString.Decode("00038086-x")!.DeviceTypeName);

    [Theory]
    [InlineData("")]
    [InlineData("00028086")]
    [InlineData("00028086-")]
    [InlineData("0028086-193b")]
    [InlineData("+0028086-193b")]
    [InlineData(" 0028086-193b")]
    [InlineData("0x028086-193b")]
    [InlineData("000g8086-193b")]
    [InlineData("00028086_193b")]
    [InlineData("driver 470.63.01")]
    public void What_does_not_look_like_one_is_left_alone(string text) => Assert.Null(VersionString.Decode(text));
}
