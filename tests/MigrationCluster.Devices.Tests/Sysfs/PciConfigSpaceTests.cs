using MigrationCluster.Devices.Sysfs;

namespace MigrationCluster.Devices.Tests.Sysfs;

public sealed class PciConfigSpaceTests
{
    [Fact]
    public void Capabilities_come_in_list_order()
    {
        var config = PciConfigSpace.Parse(SampleHost.Config(), out string? problem)!;
        Assert.Null(problem);
        Assert.Equal([new PciCapability(5, 0x90), new PciCapability(1, 0xd0)], config.Standard);
        Assert.Equal([new PciCapability(0xf, 0x100), new PciCapability(0x1b, 0x200)], config.Extended);
    }

    [Fact]
    public void Without_the_status_bit_the_pointer_means_nothing()
    {
        byte[] bytes = SampleHost.Config();
        bytes[0x06] = 0;
        Assert.Empty(PciConfigSpace.Parse(bytes, out string? problem)!.Standard);
        Assert.Null(problem);
    }

    [Fact]
    public void Interrupts_are_counted_from_the_pin_and_the_control_words()
    {
        byte[] bytes = SampleHost.Config();
        (bytes[0x3d], bytes[0x92]) = (1, 0x06);
        (bytes[0xd1], bytes[0xe0], bytes[0xe2], bytes[0xe3]) = (0xe0, 0x11, 0x03, 0xf8);
        var config = PciConfigSpace.Parse(bytes, out _)!;
        Assert.Equal((true, 8, 4), (config.HasInterruptPin, config.MsiVectors, config.MsiXVectors));
        Assert.Equal([0x05, 0x01, 0x11, 0x1000f, 0x1001b], config.CapabilityIds);
        bytes[0x06] = 0;
        config = PciConfigSpace.Parse(bytes, out _)!;
        Assert.Equal((true, 0, 0), (config.HasInterruptPin, config.MsiVectors, config.MsiXVectors));
    }

    [Fact]
    public void A_list_that_comes_back_or_leaves_the_space_is_not_half_read()
    {
        byte[] bytes = SampleHost.Config();
        bytes[0xd1] = 0x90;
        Assert.Null(PciConfigSpace.Parse(bytes, out string? problem));
        Assert.Contains("comes back to 0x90", problem, StringComparison.Ordinal);
        bytes[0xd1] = 0x08;
        Assert.Null(PciConfigSpace.Parse(bytes, out problem));
        Assert.Contains("0x8, outside 0x40", problem, StringComparison.Ordinal);
        Assert.Null(PciConfigSpace.Parse(bytes.AsSpan(0, 64), out problem));
        Assert.Contains("0x90, outside 0x40 to 0x40", problem, StringComparison.Ordinal);
        Assert.Null(PciConfigSpace.Parse(bytes.AsSpan(0, 63), out problem));
        Assert.Contains("63 bytes", problem, StringComparison.Ordinal);
    }

    [Fact]
    public void No_bytes_throw()
    {
        var random = new Random(20260921);
        for (int round = 0; round < 2000; round++)
        {
            byte[] bytes = new byte[random.Next(4097)];
            random.NextBytes(bytes);
            if (bytes.Length > 0x34) (bytes[0x06], bytes[0x34]) = (0x10, (byte)random.Next(64, 256));
            Assert.NotEqual(PciConfigSpace.Parse(bytes, out string? problem) is null, problem is null);
        }
    }

    [Theory]
    [InlineData("0xf6000000 0xf6ffffff 0x140204", 16 << 20, PciBarKind.Memory, false)]
    [InlineData("0xe0000000 0xefffffff 0x14220c", 256 << 20, PciBarKind.Memory, true)]
    [InlineData("0xf000 0xf03f 0x40101", 64, PciBarKind.Io, false)]
    public void A_region_has_the_size_between_its_ends(string line, ulong size, PciBarKind kind, bool prefetchable)
    {
        Assert.True(PciBar.TryParse(3, line, out var bar));
        Assert.Equal(new PciBar(3, size, kind, prefetchable), bar);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0x0 0x1")]
    [InlineData("0x10 0x1 0x200")]
    [InlineData("0x0 0xffffffffffffffff 0x200")]
    [InlineData("0x1 0x1 0x0")]
    [InlineData("0x1 0x1 0x300")]
    [InlineData("1 1 200")]
    [InlineData("0x-1 0x1 0x200")]
    [InlineData("0x11111111111111111 0x1 0x200")]
    public void A_line_that_is_no_region_is_not_taken_for_one(string line) => Assert.False(PciBar.TryParse(0, line, out _));
}
