using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;

namespace MigrationCluster.Node.Agents;

/// <summary>Says hello to a coordinator when this node listens, and again every few seconds: one that was away learns where this
/// agent is now. Where one does not answer the next is asked.</summary>
public sealed class AgentRegistration(
    NodeIdentity node, NodeOptions options, NodeConfig config, OfferCatalog catalog, GuestHost guests, TimeProvider time,
    ILogger<AgentRegistration> logger) : BackgroundService
{
    private static readonly TimeSpan Again = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        string own = await node.Address.WaitAsync(stoppingToken);
        IReadOnlyList<Uri> coordinators = options.Coordinator ? [new Uri(own)] : options.Join;
        using var handler = new SocketsHttpHandler { SslOptions = options.Credentials?.ToCoordinator() ?? new(), UseProxy = false };
        using var http = new HttpClient(handler) { Timeout = config.AtLeastSilence(Limit) };
        http.DefaultRequestHeaders.Add(Wire.Header, Wire.Version.ToString(CultureInfo.InvariantCulture));
        string? last = "not tried yet";
        for (int failures = 0, at = 0; ;)
        {
            var coordinator = coordinators[at];
            var hello = new AgentHello(node.Name, node.NodeId, own, Wire.Version, catalog.Last.Digest, guests.FreeMiB);
            string? problem = await HelloAsync(http, coordinator, WireJson.Write(hello), stoppingToken);
            if (problem is not null) at = (at + 1) % coordinators.Count;
            if (problem is null && last is not null)
                logger.LogInformation("joined the coordinator at {Coordinator}", coordinator);
            else if (problem != last)
                logger.LogWarning("cannot join the coordinator at {Coordinator}: {Problem}", coordinator, problem);
            (last, failures) = (problem, problem is null ? 0 : failures + 1);
            await Task.Delay(problem is null ? Again : BackOff.Delay(failures - 1), time, stoppingToken);
        }
    }

    /// <returns>null: admitted.</returns>
    private static async Task<string?> HelloAsync(HttpClient http, Uri coordinator, string hello, CancellationToken cancellationToken)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(coordinator, "v1/agents/hello"))
            {
                Version = HttpVersion.Version20,
                VersionPolicy = HttpVersionPolicy.RequestVersionExact,
                Content = new StringContent(hello, Encoding.UTF8, "application/json"),
            };
            using var response = await http.SendAsync(request, cancellationToken);
            if (response.IsSuccessStatusCode) return null;
            return WireJson.Read<ApiError>(await response.Content.ReadAsStringAsync(cancellationToken)).Message;
        }
        catch (Exception error) when (!cancellationToken.IsCancellationRequested)
        {
            return CertificateException.In(error)?.Message ?? (error is OperationCanceledException ? "no answer in time" : error.Message);
        }
    }
}
