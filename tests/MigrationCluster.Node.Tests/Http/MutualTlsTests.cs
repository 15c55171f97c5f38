using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Tests.EndToEnd;
using MigrationCluster.Node.Tests.Fakes;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.Http;

/// <summary>A coordinator and an agent with certificates, and callers who should not get through to them.</summary>
public sealed class MutualTlsTests : IAsyncLifetime
{
    private static readonly YieldGuest Order = new(new("m-1"), new("g"), default);
    private readonly TestAuthority _authority = new();
    private readonly TestAuthority _stranger = new();
    private TestNode _a = null!;
    private TestNode _b = null!;

    public async Task InitializeAsync()
    {
        _a = await TestNode.StartAsync("a", credentials: _authority.Coordinator("a"), client: _authority.Operator("ada"));
        _b = await TestNode.StartAsync("b", _a, credentials: _authority.Node("b"), client: _authority.Operator("ada"));
        await Eventually.TrueAsync("both have joined", async () =>
            (await _a.Client.ListNodesAsync(default)).Count(node => node.Reachable) == 2);
    }

    public async Task DisposeAsync()
    {
        await _b.DisposeAsync();
        await _a.DisposeAsync();
        _authority.Dispose();
        _stranger.Dispose();
    }

    [Fact]
    public async Task A_coordinator_commands_an_agent_and_shows_operators_where_it_is()
    {
        Assert.Null(await _a.Agents.SendAsync(new HostName("b"), Order, default));

        Assert.Equal(Order, Assert.Single(_b.Commands.Seen));
        Assert.All(await _a.Client.ListNodesAsync(default), node => Assert.StartsWith("https://127.0.0.1:", node.Address, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(CertificateRole.Operator, "may not ask", "POST", "/v1/agent/commands")]
    [InlineData(CertificateRole.Node, "may not ask", "POST", "/v1/agent/commands")]
    [InlineData(CertificateRole.Node, "may not ask", "POST", "/V1/Agent/Commands/")]
    [InlineData(CertificateRole.Operator, "may not ask", "GET", "/v1/agent/inventory")]
    [InlineData(CertificateRole.Node, "may not ask", "GET", "/v1/agent/events?after=0&wait=0")]
    public async Task Only_coordinators_command_agents(CertificateRole role, string said, string method, string path)
    {
        using var caller = Caller(_authority, role, "c");

        await AssertRefusedAsync(caller, _b, method, path, WireJson.Write<AgentCommand>(Order), said);
        Assert.Empty(_b.Commands.Seen);
    }

    [Theory]
    [InlineData("GET", "/v1/nodes")]
    [InlineData("POST", "/v1/guests")]
    [InlineData("POST", "/v1/guests/g/stop")]
    [InlineData("POST", "/v1/migrations")]
    [InlineData("POST", "/v1/migrations/m-1/cancel")]
    public async Task An_agent_does_not_ask_what_operators_ask(string method, string path)
    {
        using var caller = Caller(_authority, CertificateRole.Node, "c");

        await AssertRefusedAsync(caller, _a, method, path, "{}", "node c may not ask");
    }

    [Fact]
    public async Task A_coordinator_passes_on_what_operators_ask()
    {
        using var client = new ClusterClient(new Uri(_a.Address), _authority.Coordinator("c"));

        Assert.Equal(ErrorCodes.MigrationUnknown, (await Assert.ThrowsAsync<ApiException>(
            () => client.CancelMigrationAsync("m-1", default))).Error.Code);
    }

    [Theory]
    [InlineData(CertificateRole.Node, "node b says hello with the certificate of node c")]
    [InlineData(CertificateRole.Coordinator, "node b says hello with the certificate of coordinator c")]
    [InlineData(CertificateRole.Operator, "operator c may not ask")]
    public async Task Nobody_says_hello_for_another_node(CertificateRole role, string said)
    {
        var hello = new AgentHello(new HostName("b"), "id", "https://127.0.0.1:1", Wire.Version);
        using var caller = Caller(_authority, role, "c");

        await AssertRefusedAsync(caller, _a, "POST", "/v1/agents/hello", WireJson.Write(hello), said);
        Assert.Contains(await _a.Client.ListNodesAsync(default), node => node.Name == "b" && node.Address == _b.Address);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1", "nothing is said unsealed")]
    [InlineData("here", "write it like")]
    public async Task A_node_that_could_not_be_called_is_not_admitted(string address, string said)
    {
        using var caller = Caller(_authority, CertificateRole.Node, "c");
        using var reply = await caller.PostAsync(
            new Uri(new Uri(_a.Address), "v1/agents/hello"),
            new StringContent(WireJson.Write(new AgentHello(new HostName("c"), "id", address, Wire.Version)), Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, reply.StatusCode);
        Assert.Contains(said, await reply.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(["a", "b"], (await _a.Client.ListNodesAsync(default)).Select(node => node.Name));
    }

    [Fact]
    public async Task An_agent_of_another_name_is_not_commanded()
    {
        using var api = new AgentApi(new HostName("c"), _b.Address, _authority.Coordinator("a"));

        var refused = await Assert.ThrowsAsync<AgentUnreachableException>(() => api.SendAsync(Order, default));
        Assert.Contains("the certificate of node b is not of node c", refused.Message, StringComparison.Ordinal);
        Assert.Empty(_b.Commands.Seen);
    }

    [Fact]
    public async Task An_agent_of_a_strangers_authority_is_not_commanded()
    {
        using var api = new AgentApi(new HostName("b"), _b.Address, _stranger.Coordinator("a"));

        var refused = await Assert.ThrowsAsync<AgentUnreachableException>(() => api.SendAsync(Order, default));
        Assert.Contains("the certificate of node b is of another authority", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_agent_that_listens_plainly_is_not_commanded()
    {
        using var api = new AgentApi(new HostName("b"), "http://127.0.0.1:1", _authority.Coordinator("a"));

        var refused = await Assert.ThrowsAsync<AgentUnreachableException>(() => api.SendAsync(Order, default));
        Assert.Contains("nothing is said unsealed", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_operator_is_told_what_is_wrong_with_who_answers()
    {
        using var untrusting = new ClusterClient(new Uri(_a.Address), _stranger.Operator("ada"));
        using var misled = new ClusterClient(new Uri(_b.Address), _authority.Operator("ada"));
        using var plain = new ClusterClient(new Uri(_a.Address.Replace("https", "http", StringComparison.Ordinal)));

        var untrusted = (await Assert.ThrowsAsync<ApiException>(() => untrusting.ListNodesAsync(default))).Error;
        Assert.Equal(ErrorCodes.CertificateUntrusted, untrusted.Code);
        Assert.Contains("of another authority", untrusted.Message, StringComparison.Ordinal);
        var agent = (await Assert.ThrowsAsync<ApiException>(() => misled.ListNodesAsync(default))).Error;
        Assert.Equal(ErrorCodes.CertificateWrongName, agent.Code);
        Assert.Contains("the certificate of node b is not of a coordinator", agent.Message, StringComparison.Ordinal);
        Assert.Contains("https://", (await Assert.ThrowsAsync<ApiException>(() => plain.ListNodesAsync(default))).Error.Reasons[0].Remedy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_is_good_at_its_addresses_only()
    {
        await using var d = await TestNode.StartAsync("d", _a, credentials: _authority.Node("d", "127.0.0.1"), client: _authority.Operator("ada"));
        using var there = new AgentApi(new HostName("d"), d.Address, _authority.Coordinator("a"));
        using var elsewhere = new AgentApi(
            new HostName("d"), d.Address.Replace("127.0.0.1", "localhost", StringComparison.Ordinal), _authority.Coordinator("a"));

        Assert.Null(await there.SendAsync(Order, default));
        Assert.Contains("not for the address localhost", (await Assert.ThrowsAsync<AgentUnreachableException>(
            () => elsewhere.SendAsync(Order, default))).Message, StringComparison.Ordinal);
    }

    /// <summary>A caller that believes anybody: only the node stands in his way.</summary>
    [Theory]
    [InlineData("none")]
    [InlineData("a stranger's")]
    [InlineData("expired")]
    [InlineData("made by himself")]
    [InlineData("issued by a node")]
    [InlineData("good, over TLS 1.2")]
    public async Task Nobody_gets_in_without_a_good_certificate(string certificate)
    {
        using var old = new TestAuthority(age: TimeSpan.FromDays(400));
        using var node = Load(_authority.Issue(CertificateRole.Node, "b"));
        using var shown = certificate switch
        {
            "a stranger's" => Load(_stranger.Issue(CertificateRole.Coordinator, "a")),
            "expired" => Load(old.Issue(CertificateRole.Coordinator, "a")),
            "made by himself" => Forgery.SelfSigned("mc://coordinator/a"),
            "issued by a node" => Forgery.IssuedBy(node, "mc://coordinator/a"),
            "good, over TLS 1.2" => Load(_authority.Issue(CertificateRole.Coordinator, "a")),
            _ => null,
        };
        // The node that the expired one would be good for believes in the old authority.
        await using var e = certificate == "expired"
            ? await TestNode.StartAsync("e", credentials: old.Renewed(CertificateRole.Coordinator, "e"), client: old.Renewed(CertificateRole.Operator, "ada"))
            : null;
        using var caller = Forgery.Caller(shown, certificate == "good, over TLS 1.2" ? SslProtocols.Tls12 : SslProtocols.None, node);

        await Assert.ThrowsAsync<HttpRequestException>(() => caller.PostAsync(
            new Uri(new Uri((e ?? _b).Address), "v1/agent/commands"),
            new StringContent(WireJson.Write<AgentCommand>(Order), Encoding.UTF8, "application/json")));
        Assert.Empty((e ?? _b).Commands.Seen);
    }

    [Fact]
    public async Task A_certificate_that_expires_on_a_connection_is_not_good_any_longer()
    {
        await using var later = await TestNode.StartAsync(
            "a", credentials: _authority.Coordinator("a"), client: _authority.Operator("ada"), time: new ShiftedTime(TimeSpan.FromDays(500)));

        var refused = (await Assert.ThrowsAsync<ApiException>(() => later.Client.ListNodesAsync(default))).Error;
        Assert.Equal(ErrorCodes.CertificateExpired, refused.Code);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")]
    [InlineData("\x16\x03\x01\x02\x00\x01\x00\x01")]
    [InlineData("")]
    public async Task Whatever_else_is_sent_to_the_port_does_no_harm(string sent)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(IPAddress.Loopback, new Uri(_a.Address).Port);
        await socket.SendAsync(Encoding.Latin1.GetBytes(sent));
        socket.Shutdown(SocketShutdown.Send);
        byte[] said = new byte[4096];
        int length = await socket.ReceiveAsync(said).WaitAsync(Eventually.Limit);

        Assert.DoesNotContain("HTTP", Encoding.Latin1.GetString(said, 0, length), StringComparison.Ordinal);
        Assert.Equal("a", (await _a.Client.HelloAsync(default)).Node);
    }

    [Fact]
    public void Every_route_says_who_may_ask()
    {
        foreach (var node in new[] { _a, _b })
            foreach (var route in node.Services.GetRequiredService<EndpointDataSource>().Endpoints.Cast<RouteEndpoint>())
            {
                var may = route.Metadata.GetMetadata<MayAsk>();
                Assert.True(may is not null, $"{route.RoutePattern.RawText} says nothing");
                string path = route.RoutePattern.RawText!;
                var expected = path.StartsWith("/v1/agent/", StringComparison.Ordinal) ? Callers.Coordinators
                    : path == "/v1/hello" || node == _b ? Callers.Anybody
                    : path == "/v1/agents/hello" ? Callers.Nodes : Callers.Operators;
                Assert.True(expected == may, $"{path} is for {may!.Roles}");
            }
    }

    private static HttpClient Caller(TestAuthority authority, CertificateRole role, string name) =>
        Forgery.Caller(Load(authority.Issue(role, name)), SslProtocols.Tls13);

    private static X509Certificate2 Load(string folder) => X509Certificate2.CreateFromPemFile(
        Path.Combine(folder, Credentials.CertificateFile), Path.Combine(folder, Credentials.KeyFile));

    private static async Task AssertRefusedAsync(HttpClient caller, TestNode node, string method, string path, string body, string said)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), new Uri(new Uri(node.Address), path))
        {
            Content = method == "GET" ? null : new StringContent(body, Encoding.UTF8, "application/json"),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        using var reply = await caller.SendAsync(request);
        var error = WireJson.Read<ApiError>(await reply.Content.ReadAsStringAsync());
        Assert.Equal((HttpStatusCode.Forbidden, ErrorCodes.CallerRefused), (reply.StatusCode, error.Code));
        Assert.Contains(said, error.Message, StringComparison.Ordinal);
    }
}
