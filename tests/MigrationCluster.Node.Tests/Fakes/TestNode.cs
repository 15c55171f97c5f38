using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Cluster;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>A real node in this process: Kestrel on a free port, SQLite in a directory of its own. What moves guests
/// is replaced by recorders.</summary>
public sealed class TestNode : IAsyncDisposable
{
    private readonly TempDirectory? _directory;
    private readonly bool _ownsDirectory;
    private NodeHost? _host;
    private TimeProvider _time = TimeProvider.System;

    private TestNode(TempDirectory? directory, bool ownsDirectory) => (_directory, _ownsDirectory) = (directory, ownsDirectory);

    public string Address => _host!.Address;

    public IServiceProvider Services => _host!.Services;

    public ClusterClient Client { get; private set; } = null!;

    public RecordingCommands Commands { get; } = new();

    public RecordingSink Sink { get; } = new();

    public FakeProgress Progress { get; } = new();

    public IAgentJournal Journal => _host!.Services.GetRequiredService<IAgentJournal>();

    public AgentDirectory Agents => _host!.Services.GetRequiredService<AgentDirectory>();

    public GuestHost Guests => _host!.Services.GetRequiredService<GuestHost>();

    public static NodeConfig Config(int memoryMiB = 1024) => new(
        memoryMiB, new Dictionary<string, DeviceTemplate>
        {
            ["net-basic"] = new("net", new Dictionary<string, string> { ["queues"] = "2" }),
            ["serial"] = new("serial"),
        });

    /// <param name="sysfs">root of its sysfs tree; null: this machine's.</param>
    public static NodeOptions Options(
        string name, string dataDirectory, Uri? join, int port = 0, string? sysfs = null, Credentials? credentials = null) => new(
        new HostName(name), new IPEndPoint(IPAddress.Loopback, port), new IPEndPoint(IPAddress.Loopback, 0),
        dataDirectory, sysfs is null ? Config() : Config() with { Sysfs = sysfs }, join is null ? [] : [join], Credentials: credentials);

    /// <param name="credentials">the node's; null: it talks plainly.</param>
    /// <param name="client">of who asks it.</param>
    public static async Task<TestNode> StartAsync(
        string name, TestNode? coordinator = null, TempDirectory? directory = null, string? sysfs = null,
        Credentials? credentials = null, Credentials? client = null, TimeProvider? time = null)
    {
        var node = new TestNode(directory ?? new TempDirectory(), directory is null) { _time = time ?? TimeProvider.System };
        var join = coordinator is null ? null : new Uri(coordinator.Address);
        node._host = await NodeHost.StartAsync(
            Options(name, node._directory!.Path, join, sysfs: sysfs, credentials: credentials), node.Configure, default);
        node.Client = new ClusterClient(new Uri(node.Address), client);
        return node;
    }

    public async ValueTask DisposeAsync()
    {
        Client.Dispose();
        await _host!.DisposeAsync();
        if (_ownsDirectory) _directory!.Dispose();
    }

    public static void WithRecorders(IHostApplicationBuilder builder) => new TestNode(null, false).Configure(builder);

    private void Configure(IHostApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Services.Replace(ServiceDescriptor.Singleton(_time));
        builder.Services.Replace(ServiceDescriptor.Singleton<IAgentCommandHandler>(Commands));
        builder.Services.Replace(ServiceDescriptor.Singleton<IAgentEventSink>(Sink));
        builder.Services.Replace(ServiceDescriptor.Singleton<IProgressSource>(Progress));
        builder.Services.Replace(ServiceDescriptor.Singleton<IMigrations>(new NoMigrations()));
    }

    public sealed class RecordingCommands : IAgentCommandHandler
    {
        public List<AgentCommand> Seen { get; } = [];
        public ApiError? Answer { get; set; }

        public Task<ApiError?> HandleAsync(AgentCommand command, CancellationToken cancellationToken)
        {
            Seen.Add(command);
            return Task.FromResult(Answer);
        }
    }

    public sealed class FakeProgress : IProgressSource
    {
        public IReadOnlyList<AgentProgress> Now { get; set; } = [];

        public IReadOnlyList<AgentProgress> Snapshot() => Now;

        public IReadOnlyList<SessionTrace> Sessions() => [];
    }

    private sealed class NoMigrations : IMigrations
    {
        private static readonly HttpRefusal Unknown = HttpRefusal.NotFound(ErrorCodes.MigrationUnknown, "unknown", "none");

        public Task<Answer<MigrationView>> CreateAsync(MigrateRequest request, CancellationToken cancellationToken) =>
            Task.FromResult<Answer<MigrationView>>(HttpRefusal.Conflict(
                ErrorCodes.Refused, $"{request.Guest} to {request.To} within {request.MaxDowntimeMs} ms", "none"));

        public Task<IReadOnlyList<MigrationView>> ListAsync(CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<MigrationView>>([]);

        public Task<Answer<MigrationView>> GetAsync(string id, CancellationToken cancellationToken) =>
            Task.FromResult<Answer<MigrationView>>(Unknown);

        public Task<Answer<MigrationView>> WatchAsync(string id, long afterVersion, CancellationToken cancellationToken) =>
            Task.FromResult<Answer<MigrationView>>(Unknown);

        public Task<Answer<MigrationView>> LimitBandwidthAsync(string id, BandwidthRequest request, CancellationToken cancellationToken) =>
            Task.FromResult<Answer<MigrationView>>(Unknown);

        public Task<Answer<MigrationView>> CancelAsync(string id, CancellationToken cancellationToken) =>
            Task.FromResult<Answer<MigrationView>>(Unknown);
    }
}
