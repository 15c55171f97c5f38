using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Agents;

/// <summary>A coordinator's typed client of one agent: one warm HTTP/2 connection, pinged so that a dead peer is noticed.</summary>
public sealed class AgentApi : IAgentApi
{
    private static readonly TimeSpan UsualSilence = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan UsualQuick = TimeSpan.FromSeconds(10);

    /// <summary>For what waits for a guest process: longer than its host gives it to start.</summary>
    private static readonly TimeSpan Slow = TimeSpan.FromSeconds(120);

    private readonly HostName _agent;
    private readonly string? _refusal;
    private readonly HttpClient _http;

    /// <summary>For what is answered at once.</summary>
    private readonly TimeSpan _quick;

    /// <param name="credentials">whoever answers must prove that it is that agent; null: it is called plainly.</param>
    /// <param name="silence">how long it may leave a connection or a ping unanswered; null: 2 s.</param>
    public AgentApi(HostName agent, string address, Credentials? credentials = null, TimeSpan? silence = null)
    {
        var patience = silence ?? UsualSilence;
        _quick = patience > UsualQuick ? patience : UsualQuick;
        (_agent, _refusal) = (agent, NodeAddress.RefuseUrl(new Uri(address), credentials is not null));
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectTimeout = patience,
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            KeepAlivePingDelay = TimeSpan.FromSeconds(1),
            KeepAlivePingTimeout = patience,
            KeepAlivePingPolicy = HttpKeepAlivePingPolicy.Always,
            UseProxy = false,
            SslOptions = credentials?.ToNode(agent.Value) ?? new(),
        })
        {
            BaseAddress = new Uri(address),
            Timeout = Timeout.InfiniteTimeSpan,
        };
        _http.DefaultRequestHeaders.Add(Wire.Header, Wire.Version.ToString(CultureInfo.InvariantCulture));
    }

    public async Task<ApiError?> SendAsync(AgentCommand command, CancellationToken cancellationToken) =>
        (await PostAsync<object, AgentCommand>("v1/agent/commands", command, _quick, cancellationToken)).Refusal?.Error;

    public async Task<EventBatch> ReadEventsAsync(long after, TimeSpan wait, CancellationToken cancellationToken)
    {
        string path = string.Create(
            CultureInfo.InvariantCulture, $"v1/agent/events?after={after}&wait={(long)wait.TotalMilliseconds}");
        return Need(await SendAsync<EventBatch>(HttpMethod.Get, path, null, wait + _quick, cancellationToken));
    }

    public async Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(MigrationId migration, CancellationToken cancellationToken) =>
        Need(await SendAsync<IReadOnlyList<AgentEvent>>(
            HttpMethod.Get, $"v1/agent/migrations/{migration}/events", null, _quick, cancellationToken));

    public async Task<HostTraces?> TracesAsync(CancellationToken cancellationToken) =>
        NeedIfTold(await SendAsync<HostTraces>(HttpMethod.Get, "v1/agent/traces", null, _quick, cancellationToken));

    public async Task<Inventory> InventoryAsync(CancellationToken cancellationToken) =>
        Need(await SendAsync<Inventory>(HttpMethod.Get, "v1/agent/inventory", null, _quick, cancellationToken));

    public async Task<HttpRefusal?> LimitAsync(BandwidthRequest request, CancellationToken cancellationToken) =>
        (await PostAsync<object, BandwidthRequest>("v1/agent/bandwidth", request, _quick, cancellationToken)).Refusal;

    public async Task<IReadOnlyList<Reason>> AdmitAsync(
        string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken) =>
        Need(await PostAsync<Admission, AdmitOrder>(
            "v1/agent/guests/admit", new AdmitOrder(specJson, configuration), _quick, cancellationToken)).Reasons;

    public async Task<AgentOffers?> OffersAsync(CancellationToken cancellationToken) =>
        NeedIfTold(await SendAsync<AgentOffers>(HttpMethod.Get, "v1/agent/offers", null, _quick, cancellationToken));

    public async Task<VersionAnswer> AskVersionAsync(string @class, string version, CancellationToken cancellationToken) =>
        Need(await PostAsync<VersionReply, VersionOrder>(
            "v1/agent/version", new VersionOrder(@class, version), _quick, cancellationToken)).Answer;

    public async Task<GuestSetup?> SetupAsync(GuestName guest, CancellationToken cancellationToken) =>
        NeedIfTold(await SendAsync<GuestSetup>(HttpMethod.Get, $"v1/agent/guests/{guest}/setup", null, _quick, cancellationToken));

    public Task<Answer<HostedGuestState>> StartAsync(string specJson, Fence fence, CancellationToken cancellationToken) =>
        PostAsync<HostedGuestState, StartOrder>("v1/agent/guests", new StartOrder(specJson, fence), Slow, cancellationToken);

    public async Task<HttpRefusal?> StopAsync(GuestName guest, Fence fence, CancellationToken cancellationToken) =>
        (await PostAsync<object, StopOrder>($"v1/agent/guests/{guest}/stop", new StopOrder(fence), Slow, cancellationToken)).Refusal;

    public Task<Answer<SelfCheckView>> CheckAsync(GuestName guest, CancellationToken cancellationToken) =>
        SendAsync<SelfCheckView>(HttpMethod.Post, $"v1/agent/guests/{guest}/check", "{}", Slow + _quick, cancellationToken);

    public void Dispose() => _http.Dispose();

    private Task<Answer<TReply>> PostAsync<TReply, TBody>(
        string path, TBody body, TimeSpan limit, CancellationToken cancellationToken)
        where TReply : class =>
        SendAsync<TReply>(HttpMethod.Post, path, WireJson.Write(body), limit, cancellationToken);

    private async Task<Answer<T>> SendAsync<T>(
        HttpMethod method, string path, string? json, TimeSpan limit, CancellationToken cancellationToken)
        where T : class
    {
        // An address remembered from before this coordinator was started with --certs, or without.
        if (_refusal is not null) throw new AgentUnreachableException(_agent, _refusal);
        using var inTime = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        inTime.CancelAfter(limit);
        try
        {
            using var request = new HttpRequestMessage(method, path)
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"),
            };
            using var response = await _http.SendAsync(request, inTime.Token);
            string body = await response.Content.ReadAsStringAsync(inTime.Token);
            return response.IsSuccessStatusCode
                ? WireJson.Read<T>(body)
                : new HttpRefusal((int)response.StatusCode, WireJson.Read<ApiError>(body));
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested
            && error is (HttpRequestException or IOException or OperationCanceledException or JsonException))
        {
            string reason = CertificateException.In(error)?.Message ?? (error is OperationCanceledException ? "no answer in time" : error.Message);
            throw new AgentUnreachableException(_agent, reason, error);
        }
    }

    /// <summary>N and N-1 talk: a route that the other side does not have yet is no failure.</summary>
    private T? NeedIfTold<T>(Answer<T> answer)
        where T : class =>
        answer.Refusal is { HttpStatus: 404, Error.Code: ErrorCodes.BadRequest } ? null : Need(answer);

    private T Need<T>(Answer<T> answer)
        where T : class =>
        answer.Value ?? throw new AgentUnreachableException(_agent, answer.Refusal!.Error.Message, null);
}
