using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Tests.EndToEnd;
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
    [InlineData("""{"memoryMiB":4096,"templates":{},"silenceSeconds":0}""", "silenceSeconds is 0; it is 1 to 600")]
    [InlineData("""{"memoryMiB":4096,"templates":{},"bandwidth":"fast"}""", "bandwidth is fast; it is a whole number with MiB/s")]
    [InlineData("""{"memoryMiB":4096,"templates":{},"bandwidth":"1Mbit/s"}""", "bandwidth is 1Mbit/s; it is 1MiB/s to")]
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
    [InlineData("192.168.1.4:7101", "migctl certs init")]
    [InlineData("[::]:7101", "loopback only")]
    public async Task Refuses_to_listen_anywhere_but_on_loopback_without_a_certificate(string address, string expected)
    {
        var refused = await RefusedAsync("--listen", address, "--coordinator");

        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        Assert.Contains($"'{address}'", refused.Message, StringComparison.Ordinal);
        Assert.Equal(2, refused.ExitCode);
    }

    [Theory]
    [InlineData("7101")]
    [InlineData("127.0.0.1")]
    public void An_address_to_listen_on_has_a_port(string address) => Assert.Contains(
        $"'{address}' is no address", Assert.Single(Parse("--listen", address, "--coordinator")), StringComparison.Ordinal);

    [Theory]
    [InlineData("127.0.0.1:0")]
    [InlineData("[::1]:7101")]
    [InlineData("localhost:7101")]
    public void Listens_on_loopback(string address) => Assert.Empty(Parse("--listen", address, "--coordinator"));

    [Theory]
    [InlineData("http://10.0.0.1:7101", "loopback only")]
    [InlineData("https://127.0.0.1:7101", "give --certs DIR")]
    public async Task Refuses_to_join_anywhere_but_on_loopback_without_a_certificate(string url, string expected) =>
        Assert.Contains(expected, (await RefusedAsync("--listen", "127.0.0.1:0", "--join", url)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_coordinator_to_join_is_a_url() => Assert.Contains(
        "no coordinator's address", Assert.Single(Parse("--listen", "127.0.0.1:0", "--join", "b")), StringComparison.Ordinal);

    [Fact]
    public void Listens_and_joins_anywhere_with_a_certificate_and_says_nothing_unsealed()
    {
        using var authority = new TestAuthority();
        var options = TestNode.Options("a", _directory.Path, new Uri("https://10.0.0.1:7101"), credentials: authority.Node("a"));
        options = options with { Listen = new IPEndPoint(IPAddress.Parse("10.0.0.2"), 7101) };

        options.Check();
        Assert.Contains("nothing is said unsealed", Assert.Throws<StartRefusedException>(
            (options with { Join = [new Uri("http://127.0.0.1:7101")] }).Check).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.0.0.0:0")]
    [InlineData("[::]:7102")]
    public void The_data_plane_listens_where_sources_can_be_sent_to(string listen) => Assert.Contains(
        "sources are told to connect there",
        Assert.Single(Parse("--listen", "10.0.0.1:7101", "--certs", "c", "--coordinator", "--data-listen", listen)), StringComparison.Ordinal);

    [Theory]
    [InlineData("a.example/x")]
    [InlineData("https://a.example")]
    [InlineData("0.0.0.0:7101")]
    [InlineData("[::]")]
    [InlineData("me@a.example")]
    [InlineData("")]
    public void An_address_that_others_could_not_call_is_not_advertised(string address) => Assert.Contains(
        "is no address others could reach", Assert.Single(Parse("--listen", "127.0.0.1:0", "--advertise", address, "--coordinator")), StringComparison.Ordinal);

    [Theory]
    [InlineData(CertificateRole.Coordinator, "a", "127.0.0.1", null)]
    [InlineData(CertificateRole.Coordinator, "b", null, "the certificate is of coordinator b, and this is node a")]
    [InlineData(CertificateRole.Operator, "a", null, "the certificate is of operator a, and this is node a")]
    [InlineData(CertificateRole.Node, "a", null, "of node a, which commands nobody")]
    [InlineData(CertificateRole.Coordinator, "a", "10.0.0.1", "is not for 127.0.0.1, where others reach it")]
    public void A_node_starts_with_its_own_certificate(CertificateRole role, string name, string? address, string? expected)
    {
        using var authority = new TestAuthority();
        string folder = address is null ? authority.Issue(role, name) : authority.Issue(role, name, address);
        var options = TestNode.Options("a", _directory.Path, null, credentials: Credentials.Open(folder));

        if (expected is null) options.Check();
        else Assert.Contains(expected, Assert.Throws<StartRefusedException>(options.Check).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_listens_everywhere_says_where_others_reach_it()
    {
        using var authority = new TestAuthority();
        var options = TestNode.Options("a", _directory.Path, null, credentials: authority.Coordinator("a"));
        options = options with { Listen = new IPEndPoint(IPAddress.Any, 0) };
        Assert.Contains("--advertise", Assert.Throws<StartRefusedException>(options.Check).Message, StringComparison.Ordinal);

        await using var node = await NodeHost.StartAsync(
            options with { Advertise = new DnsEndPoint("localhost", 0) }, TestNode.WithRecorders, default);

        Assert.Matches("^https://localhost:[1-9][0-9]*$", node.Address);
        using var client = new ClusterClient(new Uri(node.Address), authority.Operator("ada"));
        await Eventually.TrueAsync("it reaches itself there", async () =>
            await client.ListNodesAsync(default) is [{ Reachable: true } self] && self.Address == node.Address);
    }

    [Theory]
    [InlineData("cert.pem", "has no cert.pem")]
    [InlineData("key.pem", "has no key.pem")]
    [InlineData("ca.pem", "has no ca.pem")]
    public async Task A_folder_without_all_its_files_is_refused_naming_the_file(string file, string expected)
    {
        using var authority = new TestAuthority();
        string folder = authority.Issue(CertificateRole.Coordinator, "a");
        File.Delete(Path.Combine(folder, file));

        var refused = await RefusedAsync("--listen", "127.0.0.1:0", "--certs", folder, "--coordinator");
        Assert.Contains($"{folder} {expected}", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_that_has_expired_or_is_not_the_authoritys_is_refused()
    {
        using var old = new TestAuthority(age: TimeSpan.FromDays(400));
        using var other = new TestAuthority();
        string mixed = other.Issue(CertificateRole.Coordinator, "a");
        File.Copy(Path.Combine(old.Issue(CertificateRole.Node, "a"), "ca.pem"), Path.Combine(mixed, "ca.pem"), overwrite: true);

        Assert.Contains("the certificate of node a expired at", (await RefusedAsync("--listen", "127.0.0.1:0", "--certs", old.Issue(CertificateRole.Node, "a"), "--coordinator")).Message, StringComparison.Ordinal);
        Assert.Contains("of another authority", (await RefusedAsync("--listen", "127.0.0.1:0", "--certs", mixed, "--coordinator")).Message, StringComparison.Ordinal);
        File.Copy(Path.Combine(other.Issue(CertificateRole.Node, "b"), "key.pem"), Path.Combine(mixed, "key.pem"), overwrite: true);
        Assert.Contains("does not match", (await RefusedAsync("--listen", "127.0.0.1:0", "--certs", mixed, "--coordinator")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Needs_exactly_one_of_coordinator_and_join()
    {
        foreach (string[] role in new string[][] { [], ["--coordinator", "--join", "http://127.0.0.1:1"] })
            Assert.Equal(2, (await RefusedAsync(["--listen", "127.0.0.1:0", .. role])).ExitCode);
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

    /// <remarks>Not "cannot listen": mc-chaos starts a coordinator again that says this, as a service manager would.</remarks>
    [Fact]
    public async Task A_store_that_is_away_is_named()
    {
        var options = TestNode.Options("a", _directory.Path, null) with { Connection = $"Host={_directory.File("nobody")};Username=mc;Database=mc" };
        var refused = await Assert.ThrowsAsync<StartRefusedException>(() => NodeHost.StartAsync(options, TestNode.WithRecorders, default));
        Assert.StartsWith($"PostgreSQL at {_directory.File("nobody")}", refused.Message, StringComparison.Ordinal);
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
    public async Task Asked_to_end_while_it_starts_it_ends_in_good_order()
    {
        var asked = await Assert.ThrowsAsync<StartRefusedException>(() => NodeHost.StartAsync(
            TestNode.Options("a", _directory.Path, null), builder =>
            {
                TestNode.WithRecorders(builder);
                builder.Services.AddHostedService<AskedToEnd>();
            }, default));
        Assert.Equal("asked to end before it listened", asked.Message);
        Assert.Equal(0, asked.ExitCode);

        await StartAsync("a", _directory.Path, 0);
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

    private Task<StartRefusedException> RefusedAsync(params string[] arguments)
    {
        File.WriteAllText(_directory.File("c"), """{"memoryMiB":64,"templates":{}}""");
        var command = CommandLine.Build((options, _) =>
        {
            options.Check();
            throw new InvalidOperationException("must not run");
        });
        return Assert.ThrowsAsync<StartRefusedException>(() => command.Parse(
            ["--name", "a", "--data-dir", _directory.Path, "--config", _directory.File("c"), .. arguments]).InvokeAsync(
            new System.CommandLine.InvocationConfiguration { EnableDefaultExceptionHandler = false }));
    }

    private sealed class AskedToEnd(IHostApplicationLifetime lifetime) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken)
        {
            lifetime.StopApplication();
            return Task.CompletedTask;
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    private static List<string> Parse(params string[] arguments) =>
        [.. CommandLine.Build((_, _) => Task.FromResult(0))
            .Parse(["--name", "a", "--data-dir", "/tmp/x", "--config", "c", .. arguments]).Errors.Select(error => error.Message)];
}
