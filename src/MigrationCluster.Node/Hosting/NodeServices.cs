using System.Security.Cryptography;
using Microsoft.Extensions.DependencyInjection;
using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Devices.Faults;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Cluster;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Engine;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;
using MigrationCluster.Node.Transfers;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Coordinator;
using MigrationCluster.Protocol.Destination;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Machines;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Source;

namespace MigrationCluster.Node.Hosting;

/// <summary>What a node is made of. Hosted services start in the order given here, before the HTTP server, and stop in
/// the opposite order.</summary>
public static class NodeServices
{
    public static void AddNode(this IServiceCollection services, NodeOptions options)
    {
        services.AddSingleton(options);
        services.AddSingleton(options.Config);
        if (options.Credentials is { } credentials) services.AddSingleton(credentials);
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<ISupervisor, LoggingSupervisor>();
        services.AddSingleton(_ => DataDirectory.Open(options.DataDirectory, options.Name));
        services.AddSingleton(provider => new NodeIdentity(
            options.Name, provider.GetRequiredService<DataDirectory>().NodeId));
        AddAgent(services);
        if (options.Coordinator) AddCoordinator(services);
        services.AddHostedService<AgentRegistration>();
    }

    private static void AddAgent(IServiceCollection services)
    {
        services.AddSingleton<IAgentJournal>(provider =>
            Open(() => new AgentJournal(
                provider.GetRequiredService<DataDirectory>().AgentJournal, provider.GetRequiredService<TimeProvider>())));
        services.AddSingleton(provider => new OfferCatalog(
            provider.GetRequiredService<NodeConfig>(), provider.GetRequiredService<NodeOptions>().DataListen.Address));
        services.AddSingleton<GuestHost>();
        services.AddHostedService(provider => provider.GetRequiredService<GuestHost>());
        services.AddSingleton(provider => provider.GetRequiredService<NodeOptions>().Config.Transfer);
        services.AddSingleton(provider => Open(() => DataPlaneListener.Start(
            provider.GetRequiredService<NodeOptions>().DataListen, provider.GetRequiredService<TransferOptions>())));
        services.AddSingleton(provider => new BandwidthBudget(provider.GetRequiredService<TimeProvider>())
        {
            Limit = provider.GetRequiredService<NodeConfig>().MaxBytesPerSecond,
        });
        services.AddSingleton<ISessionHands, ProcessHands>();
        services.AddSingleton<IStateMachine<SourceState, SourceCommand, AgentEvent, SourceEffect>, SourceMachine>();
        services.AddSingleton<IStateMachine<DestinationState, DestinationCommand, AgentEvent, DestinationEffect>, DestinationMachine>();
        services.AddSingleton<AgentSessions>();
        services.AddSingleton<IAgentCommandHandler>(provider => provider.GetRequiredService<AgentSessions>());
        services.AddSingleton<IProgressSource>(provider => provider.GetRequiredService<AgentSessions>());
        services.AddHostedService<UnclaimedIncoming>();
        services.AddHostedService(provider => provider.GetRequiredService<AgentSessions>());
        services.AddSingleton<GuestTraces>();
        services.AddSingleton<AgentFeed>();
        services.AddSingleton<GuestInspector>();
        services.AddSingleton<AgentRoutes>();
    }

    private static void AddCoordinator(IServiceCollection services)
    {
        services.AddSingleton<IEngine>(provider => Open<IEngine>(() =>
            provider.GetRequiredService<NodeOptions>().Connection is { } connection
                ? new PostgresStore(connection, provider.GetRequiredService<DataDirectory>().NodeId)
                : new SqliteStore(provider.GetRequiredService<DataDirectory>().CoordinatorStore)));
        services.AddSingleton<IGuestRows>(provider => Failpoints.Armed
            ? new FailpointRows(provider.GetRequiredService<IEngine>())
            : provider.GetRequiredService<IEngine>());
        services.AddSingleton<IMigrationJournal>(provider => provider.GetRequiredService<IEngine>());
        services.AddSingleton<IMigrationOwnership>(provider => provider.GetRequiredService<IEngine>());
        services.AddSingleton<IMembership>(provider => provider.GetRequiredService<IEngine>());
        services.AddSingleton<IFeedCursors>(provider => provider.GetRequiredService<IEngine>());
        services.AddSingleton(HandlerChain.Default);
        services.AddSingleton<VersionQuestions>();
        services.AddSingleton<MigrationPlanner>();
        services.AddSingleton<DestinationChoice>();
        services.AddSingleton<FleetOffers>();
        services.AddSingleton<CompatQuestions>();
        services.AddSingleton<IStateMachine<CoordinatorState, CoordinatorCommand, CoordinatorEvent, CoordinatorEffect>, CoordinatorMachine>();
        services.AddSingleton<Func<MigrationId>>(() => new MigrationId("m-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4))));
        services.AddSingleton<CostBook>();
        services.AddSingleton<PlanQuestions>();
        services.AddSingleton<Migrations>();
        services.AddSingleton<IMigrations>(provider => provider.GetRequiredService<Migrations>());
        services.AddSingleton<IAgentEventSink>(provider => provider.GetRequiredService<Migrations>());
        services.AddSingleton<MigrationInquiry>();
        services.AddSingleton<Reconciliation>();
        services.AddHostedService<Tenures>();
        services.AddSingleton<Func<Member, IAgentApi>>(provider => member => new AgentApi(
            member.Name, member.Address, provider.GetRequiredService<NodeOptions>().Credentials, provider.GetRequiredService<NodeConfig>().Silence));
        // The sink sends commands through the directory: it is asked for only when both exist.
        services.AddSingleton<Func<IAgentEventSink>>(provider => provider.GetRequiredService<IAgentEventSink>);
        services.AddSingleton<AgentDirectory>();
        services.AddSingleton<IAgents>(provider => provider.GetRequiredService<AgentDirectory>());
        services.AddHostedService(provider => provider.GetRequiredService<AgentDirectory>());
        services.AddSingleton<ClusterGuests>();
        services.AddSingleton<ClusterNodes>();
        services.AddSingleton<ClusterRoutes>();
    }

    private static T Open<T>(Func<T> open)
    {
        try
        {
            return open();
        }
        catch (IOException error)
        {
            throw new StartRefusedException(error.Message, inner: error);
        }
    }
}
