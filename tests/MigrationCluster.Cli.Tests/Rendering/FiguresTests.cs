using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Tests.Rendering;

public sealed class FiguresTests
{
    [Theory]
    [InlineData(512, "512 B")]
    [InlineData(1536, "1.5 KiB")]
    [InlineData(5 << 20, "5.0 MiB")]
    [InlineData(3L << 29, "1.50 GiB")]
    public void Bytes_are_readable(long bytes, string text) => Assert.Equal(text, Figures.Bytes(bytes));

    [Fact]
    public void Counts_have_separators() => Assert.Equal("262,144", Figures.Count(262144));

    [Theory]
    [InlineData(10, "████")]
    [InlineData(5, "██")]
    [InlineData(0.001, "▏")]
    [InlineData(0, "")]
    public void A_share_that_is_not_nothing_shows(double value, string bar) => Assert.Equal(bar, Figures.Bar(value, 10, 4));
}
