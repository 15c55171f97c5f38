namespace MigrationCluster.Cli.Tests.Commands;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("--memory 1GB: accepted is a whole number with MiB or GiB", "demo", "--memory", "1GB")]
    [InlineData("--memory 1MiB: accepted is 64MiB", "demo", "--memory", "1MiB")]
    [InlineData("--dirty-rate 100: accepted is a whole number with MiB/s", "demo", "--dirty-rate", "100")]
    [InlineData("--devices net,tape: accepted are 1 to 16 of net, gpu, serial", "demo", "--devices", "net,tape")]
    [InlineData("--devices net,: accepted", "demo", "--devices", "net,")]
    [InlineData("--max-downtime 300: accepted is a whole number with ms or s", "migrate", "web", "--to", "b", "--max-downtime", "300")]
    [InlineData("--max-downtime 0s: accepted is 1ms to 10s", "migrate", "web", "--to", "b", "--max-downtime", "0s")]
    [InlineData("--wait and --detach", "migrate", "web", "--to", "b", "--wait", "--detach")]
    [InlineData("--operator is for --accept-unknown and --plain", "migrate", "web", "--operator", "ada")]
    [InlineData("'--to' is required", "compat", "check", "web")]
    [InlineData("'net0' names no device: accepted is GUEST/DEVICE", "compat", "explain", "net0", "beta")]
    [InlineData("--min-targets 0: accepted is a whole number, 1 or more", "compat", "baseline", "--class", "net", "--min-targets", "0")]
    [InlineData("--min-targets many: accepted is a whole number, 1 or more", "compat", "baseline", "--class", "net", "--min-targets", "many")]
    [InlineData("--coordinator nowhere: not a URL", "node", "list", "--coordinator", "nowhere")]
    [InlineData("--end /tmp: not a demo's folder", "demo", "--end", "/tmp")]
    [InlineData("--end /tmp/mcd-000000/..: not a demo's folder", "demo", "--end", "/tmp/mcd-000000/..")]
    [InlineData("'frob'", "frob")]
    [InlineData("command was not provided")]
    public async Task Wrong_usage_says_what_is_accepted_and_is_exit_code_2(string said, params string[] args)
    {
        var ran = await Ran.Migctl(args);
        Assert.Equal(2, ran.Code);
        Assert.Contains(said, ran.Error);
        Assert.Contains("--help`", ran.Error);
        Assert.Empty(ran.Output);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("demo", "--help")]
    [InlineData("migrate", "--help")]
    public async Task Help_has_examples_units_and_exit_codes(params string[] args)
    {
        var ran = await Ran.Migctl(args);
        Assert.Equal(0, ran.Code);
        foreach (string part in new[] { "Examples:", "migctl ", "Units:", "100MiB/s", "Exit codes:", "7  in doubt", "MC_COORDINATOR" })
            Assert.Contains(part, ran.Output);
        Assert.Empty(ran.Error);
    }

    [Fact]
    public async Task Help_of_migrate_says_what_ctrl_c_does() =>
        Assert.Contains("Ctrl-C stops watching, not the migration", (await Ran.Migctl("migrate", "--help")).Output);

    [Fact]
    public async Task Help_shows_defaults_as_one_writes_them() =>
        Assert.Contains("[default: 300ms]", (await Ran.Migctl("demo", "--help")).Output);

    [Fact]
    public async Task A_spec_that_is_no_json_is_named_with_its_place()
    {
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, "{\n  \"name\": web\n}");
            var ran = await Ran.Migctl("guest", "start", "--host", "alpha", "--spec", file);
            Assert.Equal(2, ran.Code);
            Assert.Contains($"--spec {file}: not JSON at line 2", ran.Error);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task A_spec_that_does_not_exist_is_named()
    {
        var ran = await Ran.Migctl("guest", "start", "--host", "alpha", "--spec", "/nowhere/web.json");
        Assert.Equal(2, ran.Code);
        Assert.Contains("--spec /nowhere/web.json", ran.Error);
    }
}
