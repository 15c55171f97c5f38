using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Http;
using MigrationCluster.Node.Journal;

namespace MigrationCluster.Node.Hosting;

/// <summary>A running node: services, HTTP server and data directory, from start to end.</summary>
public sealed class NodeHost : IAsyncDisposable
{
    private readonly WebApplication _app;
    private bool _stopped;

    private NodeHost(WebApplication app, string address) => (_app, Address) = (app, address);

    /// <summary>Of the HTTP API as others are told it, with the port that was taken.</summary>
    public string Address { get; }

    public IServiceProvider Services => _app.Services;

    /// <summary>Runs a node until SIGTERM or SIGINT. Guests outlive it.</summary>
    /// <returns>the exit status.</returns>
    public static Task<int> RunAsync(NodeOptions options, CancellationToken cancellationToken) => RunAsync(options, null, cancellationToken);

    /// <param name="configure">replaces services; for a harness that plants bugs.</param>
    /// <returns>the exit status.</returns>
    public static async Task<int> RunAsync(NodeOptions options, Action<IHostApplicationBuilder>? configure, CancellationToken cancellationToken)
    {
        FailpointNames.Arm();
        await using var node = await StartAsync(options, configure, cancellationToken);
        await Console.Out.WriteLineAsync($"listening on {node.Address}".AsMemory(), cancellationToken);
        await Console.Out.FlushAsync(cancellationToken);
        await node._app.WaitForShutdownAsync(cancellationToken);
        node._stopped = true;
        return 0;
    }

    /// <param name="configure">replaces services and logging; for tests.</param>
    /// <exception cref="StartRefusedException">names what is in the way.</exception>
    public static async Task<NodeHost> StartAsync(
        NodeOptions options, Action<IHostApplicationBuilder>? configure, CancellationToken cancellationToken)
    {
        options.Check();
        var app = Build(options, configure);
        try
        {
            Map(app, options);
            await app.StartAsync(cancellationToken);
            string address = Advertised(
                app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single(), options);
            app.Services.GetRequiredService<NodeIdentity>().Listening(address);
            WireSamples.WarmUp();
            return new NodeHost(app, address);
        }
        catch (OperationCanceledException) when (app.Lifetime.ApplicationStopping.IsCancellationRequested)
        {
            await app.StopAsync(CancellationToken.None);
            await app.DisposeAsync();
            throw new StartRefusedException("asked to end before it listened", exitCode: 0);
        }
        catch (Exception error)
        {
            await app.DisposeAsync();
            if (error is StartRefusedException || InTheWay(error, options) is not { } reason) throw;
            throw new StartRefusedException(reason, inner: error);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!_stopped) await _app.StopAsync();
        _stopped = true;
        await _app.DisposeAsync();
    }

    private static WebApplication Build(NodeOptions options, Action<IHostApplicationBuilder>? configure)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ApplicationName = "mc-node" });
        builder.Logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = "HH:mm:ss.fff ";
            console.ColorBehavior = LoggerColorBehavior.Disabled;
        });
        builder.Logging.AddFilter("Microsoft", LogLevel.Warning);
        // A start that fails is told once, in a sentence (Program).
        builder.Logging.AddFilter("Microsoft.Extensions.Hosting", LogLevel.None);
        builder.Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.Configure<ConsoleLifetimeOptions>(lifetime => lifetime.SuppressStatusMessages = true);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = TimeSpan.FromSeconds(5));
        builder.Services.AddRoutingCore();
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = 8 << 20;
            kestrel.Listen(options.Listen, listen =>
            {
                listen.Protocols = HttpProtocols.Http2;
                if (options.Credentials is { } credentials)
                    listen.UseHttps(Sealed(credentials, kestrel.ApplicationServices.GetRequiredService<ILogger<NodeHost>>()));
            });
        });
        builder.Services.AddNode(options);
        configure?.Invoke(builder);
        return builder.Build();
    }

    private static TlsHandshakeCallbackOptions Sealed(Credentials credentials, ILogger logger) => new()
    {
        OnConnection = context => ValueTask.FromResult(credentials.Server(why =>
            logger.LogWarning("refused a caller at {Address}: {Reason}", context.Connection.RemoteEndPoint, why))),
    };

    private static string Advertised(string listening, NodeOptions options)
    {
        if (options.Advertise is not { } advertise) return listening;
        int port = advertise.Port > 0 ? advertise.Port : new Uri(listening).Port;
        return $"{new Uri(listening).Scheme}://{advertise.Host}:{port}";
    }

    private static void Map(WebApplication app, NodeOptions options)
    {
        app.UseErrorReplies(app.Services.GetRequiredService<ILogger<NodeHost>>());
        app.UseRouting();
        if (options.Credentials is not null) app.UseCallers(app.Services.GetRequiredService<TimeProvider>());
        app.MapGet("/v1/hello", context => JsonBody.WriteAsync(
            context, 200, new Hello(Wire.Version, options.Name.Value, options.Coordinator, ProductVersion.Text), Json.Replies))
            .WithMetadata(Callers.Anybody);
        app.Services.GetRequiredService<AgentRoutes>().Map(app.MapGroup("").WithMetadata(Callers.Coordinators));
        if (options.Coordinator)
            app.Services.GetRequiredService<ClusterRoutes>().Map(app.MapGroup("").WithMetadata(Callers.Operators));
        else
            NotCoordinatorRoutes.Map(
                app.MapGroup("").WithMetadata(Callers.Anybody), app.Services.GetRequiredService<NodeIdentity>(), options.Join[0]);
    }

    private static string? InTheWay(Exception error, NodeOptions options) => error switch
    {
        IOException { InnerException: AddressInUseException } =>
            $"port {options.Listen.Port} of {options.Listen.Address} is in use: choose another --listen, or port 0 for any free one",
        ActorFailedException { InnerException: IOException unwritten } => unwritten.Message,
        SocketException => $"cannot listen on {options.Listen}: {error.Message}",
        IOException => error.Message,
        _ => null,
    };
}
