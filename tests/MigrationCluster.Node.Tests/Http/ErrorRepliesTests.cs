using System.Net;
using System.Net.Http.Json;
using System.Text;
using MigrationCluster.Api;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.Http;

public sealed class ErrorRepliesTests : IAsyncLifetime
{
    private TestNode _node = null!;
    private HttpClient _http = null!;

    public async Task InitializeAsync()
    {
        _node = await TestNode.StartAsync("a");
        _http = new HttpClient
        {
            BaseAddress = new Uri(_node.Address),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
    }

    public async Task DisposeAsync()
    {
        _http.Dispose();
        await _node.DisposeAsync();
    }

    [Theory]
    [InlineData("GET", "/v1/gests", "", 404, "GET /v1/gests")]
    [InlineData("DELETE", "/v1/guests", "", 405, "DELETE /v1/guests")]
    [InlineData("GET", "/v1/guests/nobody", "", 404, "'nobody'")]
    [InlineData("POST", "/v1/guests/nobody/stop", "{}", 404, "'nobody'")]
    [InlineData("POST", "/v1/guests/nobody/check", "{}", 404, "'nobody'")]
    [InlineData("POST", "/v1/migrations", "{", 400, "malformed at $")]
    [InlineData("POST", "/v1/migrations", """{"guest":"g","to":"b","maxDowntimeMs":300,"force":true}""", 400, "unknown field 'force' at $.force")]
    [InlineData("POST", "/v1/migrations", """{"guest":"g","to":"b","maxDowntimeMs":"300"}""", 400, "wrong type at $.maxDowntimeMs")]
    [InlineData("POST", "/v1/migrations", """{"to":"b"}""", 400, "missing at $: 'guest'")]
    [InlineData("POST", "/v1/migrations", """{"guest":"g","to":"b","maxDowntimeMs":300}""", 409, "g to b within 300 ms")]
    [InlineData("GET", "/v1/migrations/m-1/watch", "", 400, "after=VERSION")]
    [InlineData("GET", "/v1/agent/events?after=x&wait=0", "", 400, "after=NUMBER")]
    [InlineData("POST", "/v1/agent/commands", """{"migration":"m-1"}""", 400, "the request's body")]
    [InlineData("POST", "/v1/agent/commands", """{"type":"explode","migration":"m-1"}""", 400, "explode")]
    [InlineData("POST", "/v1/agent/guests/No/stop", """{"fence":{"epoch":1,"term":0}}""", 400, "'No' is no guest name")]
    public async Task Every_error_is_an_ApiError_that_names_what_and_where(
        string method, string path, string body, int status, string expected)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), path) { Version = HttpVersion.Version20 };
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        if (body.Length > 0) request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await _http.SendAsync(request);
        var error = await response.Content.ReadFromJsonAsync<ApiError>(Json.Requests);

        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(expected, error!.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.Reasons);
        Assert.Equal(Wire.Version.ToString(), response.Headers.GetValues(Wire.Header).Single());
    }

    [Theory]
    [InlineData("9", "this side")]
    [InlineData("-4", "no number")]
    public async Task A_caller_of_a_foreign_wire_version_is_refused(string version, string expected)
    {
        _http.DefaultRequestHeaders.Add(Wire.Header, version);
        using var response = await _http.GetAsync(new Uri("/v1/hello", UriKind.Relative));
        var error = await response.Content.ReadFromJsonAsync<ApiError>(Json.Requests);

        Assert.Equal(426, (int)response.StatusCode);
        Assert.Equal(ErrorCodes.WireVersion, error!.Code);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_mistake_in_a_start_request_is_told_at_once_and_nothing_is_started()
    {
        await UntilJoinedAsync();
        var refused = await Assert.ThrowsAsync<ApiException>(() => _node.Client.StartGuestAsync("""
            { "host": "a", "spec": {
                "name": "Bad Name", "memoryMiB": 2048, "colour": "red",
                "vcpus": { "count": 0, "pattern": "random", "dirtyRateMiBps": 10 },
                "devices": [
                  { "name": "n0", "template": "nope", "peerToPeer": ["n9"] },
                  { "name": "n0", "template": 7 } ] } }
            """, default));

        Assert.Equal(400, refused.HttpStatus);
        string[] expected =
        [
            "$.spec.name", "$.spec.colour", "$.spec.vcpus.count", "$.spec.vcpus.pattern", "$.spec.devices[0].peerToPeer",
            "$.spec.devices[1].template", "$.spec.devices has 2 devices named 'n0'", "2048 MiB", "template 'nope' is unknown on a",
        ];
        Assert.All(expected, what => Assert.Contains(
            refused.Error.Reasons, reason => reason.Message.Contains(what, StringComparison.Ordinal)));
        Assert.Equal(expected.Length, refused.Error.Reasons.Count);
        Assert.All(refused.Error.Reasons, reason => Assert.NotEmpty(reason.Remedy));
        Assert.Empty(await _node.Client.ListGuestsAsync(default));
    }

    [Fact]
    public async Task An_unknown_host_is_named_with_those_there_are()
    {
        await UntilJoinedAsync();
        var refused = await Assert.ThrowsAsync<ApiException>(() => _node.Client.StartGuestAsync("""
            { "host": "zz", "spec": { "name": "g", "memoryMiB": 64,
              "vcpus": { "count": 1, "pattern": "uniform", "dirtyRateMiBps": 1 }, "devices": [] } }
            """, default));

        Assert.Equal((404, ErrorCodes.HostUnknown), (refused.HttpStatus, refused.Error.Code));
        Assert.Contains("choose one of a", refused.Error.Reasons[0].Remedy, StringComparison.Ordinal);
    }

    private async Task UntilJoinedAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (!(await _node.Client.ListNodesAsync(limit.Token)).Any(node => node.Reachable))
            await Task.Delay(20, limit.Token);
    }
}
