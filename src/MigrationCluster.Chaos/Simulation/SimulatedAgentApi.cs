using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Http;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Chaos.Simulation;

/// <summary>One life of a coordinator asking one agent over the simulated network: a request or its reply may be lost, late, or come
/// again, and then nobody knows what the agent did.</summary>
internal sealed class SimulatedAgentApi(
    string coordinator, SimulatedHost host, VirtualTime time, Weather weather) : IAgentApi
{
    private static readonly TimeSpan Quick = TimeSpan.FromSeconds(10);

    /// <summary>After which pings that are not answered tell that a peer is gone.</summary>
    private static readonly TimeSpan Ping = TimeSpan.FromSeconds(3);

    /// <summary>How long a message may wander about.</summary>
    private const int LongestDetourMs = 20_000;

    public Task<ApiError?> SendAsync(AgentCommand command, CancellationToken cancellationToken)
    {
        if (weather.Repeats())
            time.After(weather.UpTo(LongestDetourMs), () => host.Serve(agent => agent.HandleAsync(command), _ => { }, _ => { }));
        return AskAsync(agent => agent.HandleAsync(command), Quick, cancellationToken);
    }

    public Task<EventBatch> ReadEventsAsync(long after, TimeSpan wait, CancellationToken cancellationToken) =>
        AskAsync(agent => agent.Feed.ReadAsync(after, wait, CancellationToken.None), wait + Quick, cancellationToken);

    public Task<IReadOnlyList<AgentEvent>> ReadMigrationAsync(MigrationId migration, CancellationToken cancellationToken) =>
        AskAsync(agent => Task.FromResult(agent.Feed.ReadMigration(migration)), Quick, cancellationToken);

    public Task<HostTraces?> TracesAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<HttpRefusal?> LimitAsync(BandwidthRequest request, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<Inventory> InventoryAsync(CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<IReadOnlyList<Reason>> AdmitAsync(
        string specJson, IReadOnlyList<DeviceConfiguration>? configuration, CancellationToken cancellationToken) =>
        AskAsync(_ => Task.FromResult<IReadOnlyList<Reason>>([]), Quick, cancellationToken);

    /// <remarks>Planning is not what is simulated: nothing is told, and an operator accepts that.</remarks>
    public Task<AgentOffers?> OffersAsync(CancellationToken cancellationToken) =>
        AskAsync(_ => Task.FromResult<AgentOffers?>(null), Quick, cancellationToken);

    public Task<VersionAnswer> AskVersionAsync(string @class, string version, CancellationToken cancellationToken) =>
        AskAsync(_ => Task.FromResult(VersionAnswer.NotAsked), Quick, cancellationToken);

    /// <remarks>Refused where no process of the guest lives.</remarks>
    public Task<GuestSetup?> SetupAsync(GuestName guest, CancellationToken cancellationToken) => AskAsync(
        _ => host.IsAlive(guest)
            ? Task.FromResult<GuestSetup?>(null)
            : Task.FromException<GuestSetup?>(new IOException($"guest {guest} has no process on {host.Name}")),
        Quick, cancellationToken);

    public Task<Answer<HostedGuestState>> StartAsync(string specJson, Fence fence, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<HttpRefusal?> StopAsync(GuestName guest, Fence fence, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task<Answer<SelfCheckView>> CheckAsync(GuestName guest, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public void Dispose()
    {
    }

    private Task<T> AskAsync<T>(Func<SimulatedAgent, Task<T>> serve, TimeSpan limit, CancellationToken cancellationToken)
    {
        var call = new Call<T>(cancellationToken);
        var patience = time.After(limit, () => call.Fail(Unreachable("no answer in time")));
        if (weather.Loses(coordinator, host.Name.Value)) GiveUp(Ping, "no answer in time");
        else time.After(weather.Latency(), () => host.Serve(serve, Reply, Break));
        return call.EndAsync();

        void Reply(T answer)
        {
            if (weather.Loses(host.Name.Value, coordinator)) GiveUp(Ping, "no answer in time");
            else
                time.After(weather.Latency(), () =>
                {
                    patience.TurnOff();
                    call.Answer(answer);
                });
        }

        void Break(string reason) => GiveUp(weather.Latency(), reason);

        void GiveUp(TimeSpan after, string reason)
        {
            patience.TurnOff();
            time.After(after, () => call.Fail(Unreachable(reason)));
        }
    }

    private AgentUnreachableException Unreachable(string reason) => new(host.Name, reason, null);
}
