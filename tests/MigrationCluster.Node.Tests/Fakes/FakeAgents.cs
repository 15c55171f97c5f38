using System.Collections.Concurrent;
using MigrationCluster.Api;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Node.Agents;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Tests.Fakes;

/// <summary>Hosts that answer what a test puts in; what they were asked is kept.</summary>
internal sealed class FakeAgents : IAgents
{
    public static readonly DataPlaneFacts DataPlane = new(1, 3, 16);

    private readonly SortedDictionary<string, AgentStanding> _hosts = [];
    private readonly Dictionary<string, IReadOnlyList<Reason>> _admission = [];

    public GuestSetup? Setup { get; set; } = new([], []);

    public List<string> Asked { get; } = [];

    /// <summary>What a version string is answered with, by host.</summary>
    public Dictionary<string, VersionAnswer> Versions { get; } = [];

    public void Add(
        string host, IReadOnlyDictionary<string, DeviceDescriptor>? classes, int freeMiB = 1024, bool reachable = true,
        DataPlaneFacts? dataPlane = null, IReadOnlyList<Reason>? admission = null, IReadOnlyList<string>? versionClasses = null,
        string? address = null)
    {
        var offers = classes is null ? null : new AgentOffers(host, "1.0", 1, dataPlane ?? DataPlane, 1024, classes, versionClasses);
        _hosts[host] = new AgentStanding(new HostName(host), address ?? $"http://{host}", reachable, offers, freeMiB);
        _admission[host] = admission ?? [];
    }

    public static IReadOnlyDictionary<string, DeviceDescriptor> Classes(params (string Class, string Model)[] classes) => classes.ToDictionary(
        one => one.Class, one => DeviceModels.Describe(one.Model, null, new Dictionary<string, string>()));

    public IReadOnlyList<AgentStanding> List() => [.. _hosts.Values];

    public Task<AgentOffers?> OffersAsync(HostName agent, CancellationToken cancellationToken)
    {
        Asked.Add($"offers {agent}");
        return _hosts[agent.Value] is { Reachable: true, Offers: var offers }
            ? Task.FromResult(offers)
            : throw new AgentUnreachableException(agent, "silent", null);
    }

    public Task<IReadOnlyList<Reason>> AdmitAsync(
        HostName agent, string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken)
    {
        string devices = string.Join(' ', (configuration ?? []).Select(device =>
            $"{device.Device}({string.Join(',', device.Parameters.Select(parameter => $"{parameter.Key}={parameter.Value}"))})"));
        Asked.Add($"admit {agent} {devices}".TrimEnd());
        return Task.FromResult(_admission[agent.Value]);
    }

    public Task<GuestSetup?> SetupAsync(HostName agent, GuestName guest, CancellationToken cancellationToken) => Task.FromResult(Setup);

    public Task<VersionAnswer> AskVersionAsync(HostName agent, string @class, string version, CancellationToken cancellationToken)
    {
        Asked.Add($"version {agent} {@class} {version}");
        return Task.FromResult(Versions.GetValueOrDefault(agent.Value));
    }

    /// <summary>Orders that came in; each is accepted, and nothing follows from it.</summary>
    public ConcurrentQueue<AgentCommand> Sent { get; } = [];

    /// <summary>What a host shows of itself; one that is not in it does not answer.</summary>
    public Dictionary<string, HostTraces> Traces { get; } = [];

    public Task<ApiError?> SendAsync(HostName agent, AgentCommand command, CancellationToken cancellationToken)
    {
        Sent.Enqueue(command);
        return Task.FromResult<ApiError?>(null);
    }

    public Task<HostTraces?> TracesAsync(HostName agent, CancellationToken cancellationToken) =>
        Traces.TryGetValue(agent.Value, out var traces)
            ? Task.FromResult<HostTraces?>(traces)
            : throw new AgentUnreachableException(agent, "silent");

    public Task<Inventory> InventoryAsync(HostName agent, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(
        HostName agent, MigrationId migration, CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<AgentEvent>>([]);

    public static SetupRecord Record(string device, int slot, DeviceDescriptor descriptor) => new(device, slot, descriptor);
}
