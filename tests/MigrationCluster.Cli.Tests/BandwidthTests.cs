using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests;

public sealed class BandwidthTests
{
    [Theory]
    [InlineData("200MiB/s", 200L << 20)]
    [InlineData("1GiB/s", 1L << 30)]
    [InlineData("1Gbit/s", 125_000_000L)]
    [InlineData("100Mbit/s", 12_500_000L)]
    [InlineData("unlimited", null)]
    public void Is_read_as_people_write_it_and_written_so(string text, long? bytesPerSecond)
    {
        Assert.True(Bandwidth.TryRead(text, out long? read));
        Assert.Equal(bytesPerSecond, read);
        Assert.True(Bandwidth.IsInRange(read));
        Assert.Equal(text, Bandwidth.Text(bytesPerSecond));
    }

    [Theory]
    [InlineData("")]
    [InlineData("200")]
    [InlineData("MiB/s")]
    [InlineData("-1MiB/s")]
    [InlineData("1.5GiB/s")]
    [InlineData("1 GiB/s")]
    [InlineData("1gib/s")]
    [InlineData("100MB/s")]
    public void Anything_else_is_not_guessed_at(string text) => Assert.False(Bandwidth.TryRead(text, out _));

    [Theory]
    [InlineData("0MiB/s")]
    [InlineData("1Mbit/s")]
    [InlineData("1025GiB/s")]
    [InlineData("9223372036854775807Gbit/s")]
    public void What_no_guest_could_move_with_is_out_of_range(string text)
    {
        Assert.True(Bandwidth.TryRead(text, out long? read));
        Assert.False(Bandwidth.IsInRange(read));
    }

    [Fact]
    public async Task It_is_asked_for_with_a_migration_and_shown()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("POST /v1/migrations", Samples.Migration(Outcomes.Running, 1))
            .On("GET /v1/migrations/m-1", Samples.Migration(Outcomes.Running, 1) with { MaxBytesPerSecond = 20 << 20 });
        await Ran.Migctl("migrate", "web", "--to", "beta", "--bandwidth", "20MiB/s", "--detach", "--coordinator", fake.Url);
        Assert.Contains("""POST /v1/migrations {"guest":"web","to":"beta","maxDowntimeMs":300,"maxBytesPerSecond":20971520}""", fake.Requests);
        Assert.Contains("keeps to 20MiB/s", (await Ran.Migctl("migration", "show", "m-1", "--coordinator", fake.Url)).Output);
    }

    [Fact]
    public async Task It_is_changed_while_a_migration_is_under_way()
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("POST /v1/migrations/m-1/bandwidth", Samples.Migration(Outcomes.Running, 2));
        var ran = await Ran.Migctl("migration", "set", "m-1", "--bandwidth", "unlimited", "--coordinator", fake.Url);
        Assert.Equal((0, "m-1 keeps to unlimited\n"), (ran.Code, ran.Output));
        Assert.Contains("""POST /v1/migrations/m-1/bandwidth {"maxBytesPerSecond":null}""", fake.Requests);
    }

    [Fact]
    public async Task Too_late_is_a_refusal_with_its_reason()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails("POST /v1/migrations/m-1/bandwidth", 409, new ApiError(
            ErrorCodes.NotInPreCopy, "the migration is StopAndCopy", []));
        var ran = await Ran.Migctl("migration", "set", "m-1", "--bandwidth", "1GiB/s", "--coordinator", fake.Url);
        Assert.Equal(3, ran.Code);
        Assert.Contains("[migration.not-in-pre-copy]", ran.Error);
    }

    [Fact]
    public async Task A_nodes_is_changed_too()
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("POST /v1/nodes/alpha/bandwidth", Samples.Alpha with { MaxBytesPerSecond = 125_000_000 });
        var ran = await Ran.Migctl("node", "set", "alpha", "--bandwidth", "1Gbit/s", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        Assert.StartsWith("alpha keeps to 1Gbit/s, until its mc-node starts again", ran.Output);
        Assert.Contains("""POST /v1/nodes/alpha/bandwidth {"maxBytesPerSecond":125000000}""", fake.Requests);
    }

    [Theory]
    [InlineData("migrate", "web", "--bandwidth", "200")]
    [InlineData("migration", "set", "m-1", "--bandwidth", "1Mbit/s")]
    [InlineData("migration", "set", "m-1")]
    [InlineData("node", "set", "alpha")]
    public async Task What_cannot_be_kept_to_is_a_usage_error_that_says_what_is_accepted(params string[] arguments)
    {
        var ran = await Ran.Migctl(arguments);
        Assert.Equal(2, ran.Code);
        Assert.Contains("--bandwidth", ran.Error);
    }
}
