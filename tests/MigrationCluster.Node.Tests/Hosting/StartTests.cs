using System.Net;
using System.Net.Sockets;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Tests.Hosting;

public sealed class StartTests : IDisposable
{
    private readonly TempDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Theory]
    [InlineData("""{"memoryMiB":4096,"templates":{},"colour":1}""", "unknown field 'colour'")]
    [InlineData("""{"memoryMiB":"much","templates":{}}""", "wrong type at $.memoryMiB: a string, expected a number")]
    [InlineData("""{"memoryMiB":4096}""", "missing at $: 'templates'")]
    [InlineData("""{"memoryMiB":4096,"templates":{"n":{"model":"net","driver":"x"}}}""", "unknown field 'driver' at $.templates.n")]
    [InlineData("""{"memoryMiB":4096,"templates":{"n":{"model":"disk"}}}""", "templates.n: device model 'disk' is unknown")]
    [InlineData("""{"memoryMiB":4096,"templates":{"n":{"model":"net","parameters":{"queues":"0"}}}}""", "templates.n: ")]
    [InlineData("""{"memoryMiB":1,"templates":{}}""", "memoryMiB is 1")]
    [InlineData("""{"memoryMiB":4096,""", "malformed at $")]
    [InlineData("null", "null")]
    public void A_wrong_configuration_is_refused_naming_file_and_field(string json, string expected)
    {
        string path = _directory.File("node.json");
        File.WriteAllText(path, json);

        var refused = Assert.Throws<StartRefusedException>(() => NodeConfig.Load(path));
        Assert.Contains(path, refused.Message, StringComparison.Ordinal);
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wrong_configuration_is_refused_naming_the_line()
    {
        string path = _directory.File("node.json");
        File.WriteAllText(path, "{\n  \"memoryMiB\": 4096,\n  \"templates\": {},\n  \"memry\": 3\n}\n");

        Assert.Contains("line 4", Assert.Throws<StartRefusedException>(() => NodeConfig.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_configuration_that_is_right_is_read()
    {
        string path = _directory.File("node.json");
        File.WriteAllText(path, """
            { "memoryMiB": 4096, "templates": { "net-basic": { "model": "net", "parameters": { "queues": "2" } } } }
            """);
        var config = NodeConfig.Load(path);

        Assert.Equal(4096, config.MemoryMiB);
        Assert.Equal("net", config.Templates["net-basic"].Model);
        Assert.Equal("2", config.Templates["net-basic"].Parameters!["queues"]);
    }

    [Theory]
    [InlineData("0.0.0.0:7101", "loopback only")]
    [InlineData("192.168.1.4:7101", "loopback only")]
    [InlineData("[::]:7101", "loopback only")]
    [InlineData("7101", "is no address")]
    [InlineData("127.0.0.1", "is no address")]
    public void Refuses_to_listen_anywhere_but_on_loopback(string address, string expected)
    {
        var parsed = Parse("--listen", address, "--coordinator");

        Assert.Contains(parsed, error => error.Contains(expected, StringComparison.Ordinal)
            && error.Contains($"'{address}'", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("127.0.0.1:0")]
    [InlineData("[::1]:7101")]
    [InlineData("localhost:7101")]
    public void Listens_on_loopback(string address) => Assert.Empty(Parse("--listen", address, "--coordinator"));

    [Theory]
    [InlineData("http://10.0.0.1:7101", "loopback only")]
    [InlineData("https://127.0.0.1:7101", "no coordinator's address")]
    [InlineData("b", "no coordinator's address")]
    public void Refuses_to_join_anywhere_but_on_loopback(string url, string expected) =>
        Assert.Contains(Parse("--listen", "127.0.0.1:0", "--join", url), e => e.Contains(expected, StringComparison.Ordinal));

    [Fact]
    public async Task Needs_exactly_one_of_coordinator_and_join()
    {
        File.WriteAllText(_directory.File("c"), """{"memoryMiB":64,"templates":{}}""");
        string[] common = ["--name", "a", "--listen", "127.0.0.1:0", "--data-dir", _directory.Path, "--config", _directory.File("c")];
        var command = CommandLine.Build((_, _) => throw new InvalidOperationException("must not run"));
        foreach (string[] role in new string[][] { [], ["--coordinator", "--join", "http://127.0.0.1:1"] })
        {
            var refused = await Assert.ThrowsAsync<StartRefusedException>(() => command.Parse([.. common, .. role]).InvokeAsync(
                new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false }));
            Assert.Equal(2, refused.ExitCode);
        }
    }

    [Fact]
    public async Task A_port_in_use_is_named()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        int port = ((IPEndPoint)taken.LocalEndpoint).Port;

        var refused = await Assert.ThrowsAsync<StartRefusedException>(() => StartAsync("a", _directory.Path, port));
        Assert.Contains($"port {port} of 127.0.0.1 is in use", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_data_directory_is_used_by_one_node_at_a_time_and_belongs_to_its_name()
    {
        await using (await TestNode.StartAsync("a", directory: _directory))
        {
            var refused = await Assert.ThrowsAsync<StartRefusedException>(() => StartAsync("a", _directory.Path, 0));
            Assert.Contains($"{_directory.Path} is in use by another mc-node", refused.Message, StringComparison.Ordinal);
        }

        var other = await Assert.ThrowsAsync<StartRefusedException>(() => StartAsync("b", _directory.Path, 0));
        Assert.Contains("belongs to node a, not to b", other.Message, StringComparison.Ordinal);
        await using var again = await TestNode.StartAsync("a", directory: _directory);
        Assert.Equal("a", (await again.Client.HelloAsync(default)).Node);
    }

    [Fact]
    public void A_data_directory_too_long_for_sockets_is_refused_before_anything_is_made()
    {
        string path = _directory.File(new string('x', 50));

        var refused = Assert.Throws<StartRefusedException>(() => DataDirectory.Open(path, new HostName("a")));
        Assert.Contains("too long", refused.Message, StringComparison.Ordinal);
        Assert.Contains("107", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, refused.ExitCode);
        Assert.False(Directory.Exists(path));
    }

    private static async Task StartAsync(string name, string directory, int port)
    {
        await using var host = await NodeHost.StartAsync(
            TestNode.Options(name, directory, null, port), TestNode.WithRecorders, default);
    }

    private static List<string> Parse(params string[] arguments) =>
        [.. CommandLine.Build((_, _) => Task.FromResult(0))
            .Parse(["--name", "a", "--data-dir", "/tmp/x", "--config", "c", .. arguments]).Errors.Select(error => error.Message)];
}
