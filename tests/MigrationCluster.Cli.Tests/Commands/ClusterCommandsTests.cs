using System.Text.Json;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests.Commands;

public sealed class ClusterCommandsTests
{
    [Fact]
    public async Task Lists_nodes_one_a_line()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/nodes", new[] { Samples.Alpha });
        var ran = await Ran.Migctl("node", "list", "--coordinator", fake.Url);
        Assert.Equal(0, ran.Code);
        string[] lines = ran.Output.TrimEnd().Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.Matches("^alpha +http://127.0.0.1:7101 +coordinator +up +4096 MiB +3072 MiB +unlimited +web +gpu-256,net-basic", lines[1]);
    }

    [Fact]
    public async Task Json_is_one_document_as_the_coordinator_gave_it()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/guests/web", Samples.Web);
        var ran = await Ran.Migctl("guest", "show", "web", "--coordinator", fake.Url, "--output", "json");
        Assert.Equal(0, ran.Code);
        using var document = JsonDocument.Parse(ran.Output);
        Assert.Equal("net-basic", document.RootElement.GetProperty("devices")[0].GetProperty("template").GetString());
    }

    [Fact]
    public async Task A_field_of_a_later_release_is_skipped()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Says(
            "POST /v1/guests/web/check",
            """{"pages":5,"wrong":0,"pageWrites":9,"workErrors":0,"registerOperations":1,"interrupts":1,"temperature":20}""");
        Assert.Equal(0, (await Ran.Migctl("guest", "check", "web", "--coordinator", fake.Url)).Code);
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(1, 0, 1)]
    [InlineData(0, 1, 1)]
    public async Task A_self_check_that_finds_something_is_an_error(long wrong, long workErrors, int code)
    {
        await using var fake = (await FakeCoordinator.StartAsync())
            .On("POST /v1/guests/web/check", new SelfCheckView(262144, wrong, 1000, workErrors, 5, 6));
        var ran = await Ran.Migctl("guest", "check", "web", "--coordinator", fake.Url);
        Assert.Equal(code, ran.Code);
        Assert.Matches("pages checked +262,144", ran.Output);
    }

    [Fact]
    public async Task The_spec_travels_as_it_was_written()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Fails("POST /v1/guests", 400, new ApiError(
            ErrorCodes.BadSpec, "the spec of web is not right", [new Reason("guest.bad-spec", "'colour' is unknown", "remove it")]));
        string file = Path.GetTempFileName();
        try
        {
            await File.WriteAllTextAsync(file, """{ "name": "web", "colour": 1 }""");
            var ran = await Ran.Migctl("guest", "start", "--host", "alpha", "--spec", file, "--coordinator", fake.Url);
            Assert.Equal(2, ran.Code);
            Assert.Contains("""POST /v1/guests {"host":"alpha","spec":{"name":"web","colour":1}}""", fake.Requests);
            Assert.Equal(
                "migctl: the spec of web is not right [guest.bad-spec]\n" +
                "  - 'colour' is unknown [guest.bad-spec]\n    remove it\n", ran.Error);
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public async Task Nobody_there_is_said_with_the_address()
    {
        var fake = await FakeCoordinator.StartAsync();
        string url = fake.Url;
        await fake.DisposeAsync();
        var ran = await Ran.Migctl("node", "list", "--coordinator", url, "--output", "json");
        Assert.Equal(1, ran.Code);
        Assert.Contains($"no coordinator answers at {url}", ran.Error);
        using var document = JsonDocument.Parse(ran.Output);
        Assert.Equal("host.unreachable", document.RootElement.GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Another_wire_version_names_the_side_to_upgrade()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).On("GET /v1/nodes", Array.Empty<NodeView>());
        fake.WireVersion = "3";
        var ran = await Ran.Migctl("node", "list", "--coordinator", fake.Url);
        Assert.Equal(1, ran.Code);
        Assert.Contains("upgrade this side", ran.Error);
        fake.WireVersion = "2";
        Assert.Equal(0, (await Ran.Migctl("node", "list", "--coordinator", fake.Url)).Code);
    }

    [Fact]
    public async Task What_is_no_reply_of_ours_is_an_error_that_names_the_server()
    {
        await using var fake = (await FakeCoordinator.StartAsync()).Says("GET /v1/nodes", "<html>");
        var ran = await Ran.Migctl("node", "list", "--coordinator", fake.Url);
        Assert.Equal(1, ran.Code);
        Assert.Contains(fake.Url, ran.Error);
    }
}
