using System.Net;
using System.Net.Http.Json;
using System.Security.Authentication;
using System.Text.Json;
using MigrationCluster.Api.Certificates;

namespace MigrationCluster.Api;

/// <summary>The operator's typed client of a coordinator's HTTP API: HTTP/2, under mutual TLS, or plainly on loopback.</summary>
/// <remarks>Every method throws <see cref="ApiException"/> for an error reply or an unreachable node.</remarks>
public sealed class ClusterClient : IDisposable
{
    private readonly HttpClient _http;

    /// <param name="credentials">for a coordinator at https://; null: it is asked plainly.</param>
    public ClusterClient(Uri coordinator, Credentials? credentials = null)
    {
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectTimeout = TimeSpan.FromSeconds(3),
            SslOptions = credentials?.ToCoordinator() ?? new(),
        })
        {
            BaseAddress = coordinator,
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Timeout = TimeSpan.FromSeconds(130),
        };
        _http.DefaultRequestHeaders.Add(Wire.Header, Wire.Version.ToString());
    }

    public Task<Hello> HelloAsync(CancellationToken cancellationToken) =>
        GetAsync<Hello>("v1/hello", cancellationToken);

    public Task<IReadOnlyList<NodeView>> ListNodesAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<NodeView>>("v1/nodes", cancellationToken);

    public Task<IReadOnlyList<GuestView>> ListGuestsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<GuestView>>("v1/guests", cancellationToken);

    public Task<GuestView> GetGuestAsync(string guest, CancellationToken cancellationToken) =>
        GetAsync<GuestView>($"v1/guests/{Uri.EscapeDataString(guest)}", cancellationToken);

    /// <summary>Starts a guest; answers when it runs.</summary>
    /// <param name="requestJson">a <see cref="StartGuestRequest"/> as written by the operator, checked by the server.</param>
    public Task<GuestView> StartGuestAsync(string requestJson, CancellationToken cancellationToken) =>
        SendAsync<GuestView>(HttpMethod.Post, "v1/guests", requestJson, cancellationToken);

    /// <summary>Stops a guest; answers when it is gone. Its data is lost: guests here have no disks.</summary>
    public Task<GuestView> StopGuestAsync(string guest, CancellationToken cancellationToken) =>
        SendAsync<GuestView>(HttpMethod.Post, $"v1/guests/{Uri.EscapeDataString(guest)}/stop", "{}", cancellationToken);

    /// <summary>Asks a running guest to check itself; answers when it has.</summary>
    public Task<SelfCheckView> CheckGuestAsync(string guest, CancellationToken cancellationToken) =>
        SendAsync<SelfCheckView>(HttpMethod.Post, $"v1/guests/{Uri.EscapeDataString(guest)}/check", "{}", cancellationToken);

    /// <summary>Plans and starts a migration; answers once it is planned, or refuses with all reasons.</summary>
    public Task<MigrationView> MigrateAsync(MigrateRequest request, CancellationToken cancellationToken) =>
        SendAsync<MigrationView>(HttpMethod.Post, "v1/migrations", JsonSerializer.Serialize(request, Json.Requests.Of<MigrateRequest>()), cancellationToken);

    /// <summary>What a migration would come to; nothing moves.</summary>
    public Task<GuestPlanView> PlanAsync(MigrateRequest request, CancellationToken cancellationToken) =>
        SendAsync<GuestPlanView>(HttpMethod.Post, "v1/plans", JsonSerializer.Serialize(request, Json.Requests.Of<MigrateRequest>()), cancellationToken);

    public Task<IReadOnlyList<MigrationView>> ListMigrationsAsync(CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<MigrationView>>("v1/migrations", cancellationToken);

    public Task<MigrationView> GetMigrationAsync(string id, CancellationToken cancellationToken) =>
        GetAsync<MigrationView>($"v1/migrations/{Uri.EscapeDataString(id)}", cancellationToken);

    /// <summary>Answers as soon as the migration's version exceeds <paramref name="afterVersion"/>, at latest after 10 s.</summary>
    public Task<MigrationView> WatchMigrationAsync(string id, long afterVersion, CancellationToken cancellationToken) =>
        GetAsync<MigrationView>($"v1/migrations/{Uri.EscapeDataString(id)}/watch?after={afterVersion}", cancellationToken);

    /// <summary>Who decided what about a migration, when, on which evidence.</summary>
    public Task<WhyView> WhyMigrationAsync(string id, CancellationToken cancellationToken) =>
        GetAsync<WhyView>($"v1/migrations/{Uri.EscapeDataString(id)}/why", cancellationToken);

    /// <summary>Goes over what stands now and sets right what can be proved. <see cref="ErrorCodes.HostAnswers"/> for a host that is not dead.</summary>
    public Task<ReconcileView> ReconcileAsync(ReconcileRequest request, CancellationToken cancellationToken) =>
        SendAsync<ReconcileView>(HttpMethod.Post, "v1/reconcile", JsonSerializer.Serialize(request, Json.Requests.Of<ReconcileRequest>()), cancellationToken);

    /// <summary>Asks for cancellation; answers when it is recorded. <see cref="ErrorCodes.TooLate"/> once decided.</summary>
    public Task<MigrationView> CancelMigrationAsync(string id, CancellationToken cancellationToken) =>
        SendAsync<MigrationView>(HttpMethod.Post, $"v1/migrations/{Uri.EscapeDataString(id)}/cancel", "{}", cancellationToken);

    /// <summary>Has a migration keep to another bandwidth; answers when that is recorded. <see cref="ErrorCodes.NotInPreCopy"/> once its guest is paused.</summary>
    public Task<MigrationView> LimitMigrationAsync(string id, BandwidthRequest request, CancellationToken cancellationToken) =>
        SendAsync<MigrationView>(HttpMethod.Post, $"v1/migrations/{Uri.EscapeDataString(id)}/bandwidth",
            JsonSerializer.Serialize(request, Json.Requests.Of<BandwidthRequest>()), cancellationToken);

    /// <summary>Has all outgoing transfers of a node keep to another bandwidth together, until its daemon starts again.</summary>
    public Task<NodeView> LimitNodeAsync(string node, BandwidthRequest request, CancellationToken cancellationToken) =>
        SendAsync<NodeView>(HttpMethod.Post, $"v1/nodes/{Uri.EscapeDataString(node)}/bandwidth",
            JsonSerializer.Serialize(request, Json.Requests.Of<BandwidthRequest>()), cancellationToken);

    /// <summary>Whether a guest could go to a host now; nothing moves.</summary>
    public Task<CompatCheckView> CheckCompatAsync(string guest, string host, CancellationToken cancellationToken) =>
        GetAsync<CompatCheckView>(
            $"v1/compat/check?guest={Uri.EscapeDataString(guest)}&to={Uri.EscapeDataString(host)}", cancellationToken);

    /// <param name="device">guest/device.</param>
    public Task<CompatExplainView> ExplainCompatAsync(string device, string host, CancellationToken cancellationToken) =>
        GetAsync<CompatExplainView>(
            $"v1/compat/explain?device={Uri.EscapeDataString(device)}&host={Uri.EscapeDataString(host)}", cancellationToken);

    /// <param name="deviceClass">null: every class that any host can make.</param>
    public Task<IReadOnlyList<CompatMatrixView>> GetCompatMatrixAsync(string? deviceClass, CancellationToken cancellationToken) =>
        GetAsync<IReadOnlyList<CompatMatrixView>>(
            "v1/compat/matrix" + (deviceClass is null ? "" : $"?class={Uri.EscapeDataString(deviceClass)}"), cancellationToken);

    public Task<CompatBaselineView> GetCompatBaselineAsync(string deviceClass, int minTargets, CancellationToken cancellationToken) =>
        GetAsync<CompatBaselineView>(
            $"v1/compat/baseline?class={Uri.EscapeDataString(deviceClass)}&minTargets={minTargets}", cancellationToken);

    public void Dispose() => _http.Dispose();

    private Task<T> GetAsync<T>(string path, CancellationToken cancellationToken) =>
        SendAsync<T>(HttpMethod.Get, path, null, cancellationToken);

    private async Task<T> SendAsync<T>(HttpMethod method, string path, string? json, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path)
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        if (json is not null) request.Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json");
        HttpResponseMessage response;
        try
        {
            response = await _http.SendAsync(request, cancellationToken);
        }
        catch (Exception error) when (error is HttpRequestException or IOException ||
            (error is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            throw new ApiException(NoAnswer(error), ApiException.Unreachable);
        }
        using (response)
        {
            RefuseForeignVersion(response);
            if (!response.IsSuccessStatusCode)
                throw new ApiException(await ReadErrorAsync(response, cancellationToken), (int)response.StatusCode);
            return await ReadReplyAsync<T>(response, cancellationToken);
        }
    }

    private ApiError NoAnswer(Exception error)
    {
        if (CertificateException.In(error) is { } untrusted)
            return new ApiError(untrusted.Code, $"{_http.BaseAddress} is not trusted: {untrusted.Message}",
                [new Reason(untrusted.Code, untrusted.Message, untrusted.Remedy)]);
        bool isSealed = _http.BaseAddress!.Scheme == Uri.UriSchemeHttps;
        bool nobody = error is not HttpRequestException { HttpRequestError: not (HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError) };
        string remedy = "start mc-node there, or name another with --coordinator";
        // Somebody took the connection, and did not talk like this.
        if (!nobody)
            remedy += error.InnerException is AuthenticationException ? "; one that was started without --certs is at http://"
                : isSealed ? "; if it is there, its log says whether it refused this certificate"
                : "; one that was started with --certs is at https://";
        return new ApiError(ErrorCodes.HostUnreachable, $"no coordinator answers at {_http.BaseAddress}",
            [new Reason(ErrorCodes.HostUnreachable, (error.InnerException as AuthenticationException ?? error).Message, remedy)]);
    }

    private void RefuseForeignVersion(HttpResponseMessage response)
    {
        if (!response.Headers.TryGetValues(Wire.Header, out var values)) return;
        if (!int.TryParse(values.First(), out int theirs) || Wire.Refusal(Wire.Version, theirs) is not { } refusal) return;
        throw new ApiException(
            new ApiError(ErrorCodes.WireVersion, $"{_http.BaseAddress} and this program do not understand each other",
                [new Reason(ErrorCodes.WireVersion, refusal, "bring both sides to the same release")]),
            (int)response.StatusCode);
    }

    private async Task<T> ReadReplyAsync<T>(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        string what;
        try
        {
            if (await response.Content.ReadFromJsonAsync(Json.Replies.Of<T>(), cancellationToken) is { } reply) return reply;
            what = "an empty reply";
        }
        catch (JsonException error)
        {
            what = error.Message;
        }
        catch (Exception error) when (error is HttpRequestException or IOException)
        {
            throw new ApiException(
                new ApiError(ErrorCodes.HostUnreachable, $"{_http.BaseAddress} broke off in the middle of its reply",
                    [new Reason(ErrorCodes.HostUnreachable, error.Message, "ask again")]),
                ApiException.Unreachable);
        }
        throw new ApiException(
            new ApiError(ErrorCodes.Internal, $"the reply of {_http.BaseAddress} is not a {typeof(T).Name}",
                [new Reason(ErrorCodes.Internal, what, "check that --coordinator names an mc-node")]),
            (int)response.StatusCode);
    }

    private static async Task<ApiError> ReadErrorAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        try
        {
            if (await response.Content.ReadFromJsonAsync(Json.Replies.Of<ApiError>(), cancellationToken) is { Code: not null } error)
                return error;
        }
        catch (JsonException)
        {
            // Not one of ours: the status line has to do.
        }
        return new ApiError(ErrorCodes.Internal, $"the server answered {(int)response.StatusCode} {response.ReasonPhrase}", []);
    }
}
