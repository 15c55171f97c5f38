namespace MigrationCluster.Cli.Tests;

public sealed class UnitsTests
{
    [Theory]
    [InlineData("300ms", 300)]
    [InlineData("1s", 1000)]
    [InlineData("0ms", 0)]
    public void Reads_durations(string text, int ms)
    {
        Assert.True(Units.TryDuration(text, out var value));
        Assert.Equal(TimeSpan.FromMilliseconds(ms), value);
    }

    [Theory]
    [InlineData("512MiB", 512)]
    [InlineData("1GiB", 1024)]
    public void Reads_sizes(string text, int mebibytes)
    {
        Assert.True(Units.TrySizeMiB(text, out int value));
        Assert.Equal(mebibytes, value);
    }

    [Theory]
    [InlineData("100MiB/s", 100)]
    [InlineData("2GiB/s", 2048)]
    public void Reads_rates(string text, int mebibytes)
    {
        Assert.True(Units.TryRateMiBps(text, out int value));
        Assert.Equal(mebibytes, value);
    }

    [Theory]
    [InlineData("")]
    [InlineData("300")]
    [InlineData("ms")]
    [InlineData("1.5s")]
    [InlineData("-1s")]
    [InlineData("+1s")]
    [InlineData(" 1s")]
    [InlineData("1 s")]
    [InlineData("1S")]
    [InlineData("1m")]
    [InlineData("99999999999999999999s")]
    [InlineData("9223372036854775807s")]
    [InlineData("１s")]
    public void Guesses_no_duration(string text) => Assert.False(Units.TryDuration(text, out _));

    [Theory]
    [InlineData("1GB")]
    [InlineData("1G")]
    [InlineData("1gib")]
    [InlineData("1024")]
    [InlineData("1MiB/s")]
    [InlineData("1.5GiB")]
    [InlineData("3000000GiB")]
    public void Guesses_no_size(string text) => Assert.False(Units.TrySizeMiB(text, out _));

    [Theory]
    [InlineData("100MiB")]
    [InlineData("100")]
    [InlineData("100MB/s")]
    [InlineData("100 MiB/s")]
    public void Guesses_no_rate(string text) => Assert.False(Units.TryRateMiBps(text, out _));
}
