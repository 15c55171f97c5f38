using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Api;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Devices;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Node.Journal;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Node.Http;

/// <summary>What a coordinator asks of the agent on this host.</summary>
/// <remarks>
/// <code>
///   POST /v1/agent/commands               AgentCommand -> {} | 409 ApiError
///   GET  /v1/agent/events?after=N&amp;wait=MS  EventBatch, at once when there is an event above N
///   GET  /v1/agent/migrations/ID/events   AgentEvent[], all of that migration
///   GET  /v1/agent/inventory              Inventory
///   POST /v1/agent/bandwidth              BandwidthRequest -> {}
///   GET  /v1/agent/traces                 HostTraces
///   GET  /v1/agent/offers                 AgentOffers
///   POST /v1/agent/version                VersionOrder -> VersionReply
///   POST /v1/agent/guests/admit           AdmitOrder -> Admission
///   POST /v1/agent/guests                 StartOrder -> HostedGuestState
///   POST /v1/agent/guests/NAME/stop       StopOrder -> {}
///   POST /v1/agent/guests/NAME/check      SelfCheckView
///   GET  /v1/agent/guests/NAME/setup      GuestSetup
/// </code>
/// </remarks>
public sealed class AgentRoutes(
    NodeIdentity node,
    NodeConfig config,
    GuestHost guests,
    GuestInspector inspector,
    OfferCatalog catalog,
    BandwidthBudget bandwidth,
    GuestTraces traces,
    AgentFeed feed,
    IAgentCommandHandler commands,
    TimeProvider time,
    IHostApplicationLifetime lifetime)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/agent/commands", CommandAsync);
        routes.MapGet("/v1/agent/events", EventsAsync);
        routes.MapGet("/v1/agent/migrations/{id}/events", MigrationEventsAsync);
        routes.MapGet("/v1/agent/inventory", InventoryAsync);
        routes.MapPost("/v1/agent/bandwidth", LimitAsync);
        routes.MapGet("/v1/agent/traces", context => JsonBody.WriteAsync(context, 200, traces.Read(), WireJson.Options));
        routes.MapGet("/v1/agent/offers", context => JsonBody.WriteAsync(context, 200, catalog.Read(), WireJson.Options));
        routes.MapPost("/v1/agent/version", AskVersionAsync);
        routes.MapPost("/v1/agent/guests/admit", AdmitAsync);
        routes.MapPost("/v1/agent/guests", StartAsync);
        routes.MapPost("/v1/agent/guests/{name}/stop", StopAsync);
        routes.MapPost("/v1/agent/guests/{name}/check", CheckAsync);
        routes.MapGet("/v1/agent/guests/{name}/setup", SetupAsync);
    }

    private async Task CommandAsync(HttpContext context)
    {
        var command = await JsonBody.ReadAsync<AgentCommand>(context, WireJson.Options);
        if (command.Refusal is { } malformed) await JsonBody.WriteAsync(context, malformed);
        else if (await commands.HandleAsync(command.Value!, context.RequestAborted) is { } refused)
            await JsonBody.WriteAsync(context, new HttpRefusal(409, refused));
        else await Done(context);
    }

    private async Task EventsAsync(HttpContext context)
    {
        if (!long.TryParse(context.Request.Query["after"], NumberStyles.None, CultureInfo.InvariantCulture, out long after)
            || !int.TryParse(context.Request.Query["wait"], NumberStyles.None, CultureInfo.InvariantCulture, out int wait))
        {
            await JsonBody.WriteAsync(context, HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, "an event read says after=NUMBER and wait=MILLISECONDS", "add both to the query"));
            return;
        }

        using var until = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping);
        await JsonBody.WriteAsync(
            context, 200, await feed.ReadAsync(after, TimeSpan.FromMilliseconds(wait), until.Token), WireJson.Options);
    }

    private Task MigrationEventsAsync(HttpContext context) => JsonBody.WriteAsync(
        context, 200, feed.ReadMigration(new MigrationId((string)context.GetRouteValue("id")!)), WireJson.Options);

    private async Task InventoryAsync(HttpContext context)
    {
        var states = await Task.WhenAll(guests.List().Select(g => inspector.LookAsync(g, context.RequestAborted)));
        await JsonBody.WriteAsync(
            context, 200, new Inventory(node.Name, config.MemoryMiB, guests.FreeMiB, config.Templates, states, bandwidth.Limit),
            WireJson.Options);
    }

    private async Task LimitAsync(HttpContext context)
    {
        var request = await JsonBody.ReadAsync<BandwidthRequest>(context, WireJson.Options);
        if ((request.Refusal ?? Migrations.RefuseBandwidth(request.Value!.MaxBytesPerSecond)) is { } refused)
        {
            await JsonBody.WriteAsync(context, refused);
            return;
        }

        bandwidth.Limit = request.Value!.MaxBytesPerSecond;
        await Done(context);
    }

    private async Task AskVersionAsync(HttpContext context)
    {
        var order = await JsonBody.ReadAsync<VersionOrder>(context, WireJson.Options);
        if (order.Refusal is { } malformed) await JsonBody.WriteAsync(context, malformed);
        else await JsonBody.WriteAsync(
            context, 200, new VersionReply(catalog.Ask(order.Value!.Class, order.Value.Version)), WireJson.Options);
    }

    private async Task AdmitAsync(HttpContext context)
    {
        var order = await JsonBody.ReadAsync<AdmitOrder>(context, WireJson.Options);
        if (order.Refusal is { } malformed) await JsonBody.WriteAsync(context, malformed);
        else await JsonBody.WriteAsync(context, 200, new Admission(
            guests.Admit(order.Value!.SpecJson, order.Value.Configuration)), WireJson.Options);
    }

    private async Task StartAsync(HttpContext context)
    {
        var order = await JsonBody.ReadAsync<StartOrder>(context, WireJson.Options);
        if (order.Refusal is { } malformed)
        {
            await JsonBody.WriteAsync(context, malformed);
            return;
        }

        // Not the request's token: a caller that goes away must not leave a launch half done.
        var launched = await guests.LaunchAsync(
            order.Value!.SpecJson, order.Value.Fence, incoming: false, lifetime.ApplicationStopping);
        if (launched.Refusal is { } refused) await JsonBody.WriteAsync(context, refused);
        else await JsonBody.WriteAsync(
            context, 200, await inspector.LookAsync(launched.Value!, context.RequestAborted), WireJson.Options);
    }

    private async Task StopAsync(HttpContext context)
    {
        var order = await JsonBody.ReadAsync<StopOrder>(context, WireJson.Options);
        if (order.Refusal is { } malformed)
        {
            await JsonBody.WriteAsync(context, malformed);
            return;
        }

        var name = GuestOf(context);
        if (await GuestStop.RunAsync(guests, name, order.Value!.Fence, time, lifetime.ApplicationStopping) is { } reason)
            await JsonBody.WriteAsync(context, HttpRefusal.Conflict(
                "guest.fenced", $"guest {name} on {node.Name} takes no order of {order.Value.Fence}: {reason}",
                "ask again: a newer attempt at this guest is under way"));
        else await Done(context);
    }

    private async Task CheckAsync(HttpContext context)
    {
        var name = GuestOf(context);
        if (guests.Find(name) is not { } guest)
        {
            await JsonBody.WriteAsync(context, NoProcess(name));
            return;
        }

        try
        {
            await JsonBody.WriteAsync(
                context, 200, await SelfCheck.RunAsync(guest, time, context.RequestAborted), WireJson.Options);
        }
        catch (Exception error) when (error is DeviceRefusedException or DeviceLostException)
        {
            await JsonBody.WriteAsync(context, HttpRefusal.Conflict(
                "guest.not-checked", $"guest {name} on {node.Name} did not check itself: {error.Message}",
                "ask again when it runs"));
        }
    }

    private async Task SetupAsync(HttpContext context)
    {
        var name = GuestOf(context);
        if (guests.Find(name) is { } guest)
            await JsonBody.WriteAsync(
                context, 200, await inspector.ReadSetupAsync(guest, context.RequestAborted), WireJson.Options);
        else
            await JsonBody.WriteAsync(context, NoProcess(name));
    }

    private HttpRefusal NoProcess(GuestName name) => HttpRefusal.NotFound(
        ErrorCodes.GuestUnknown, $"guest {name} has no process on {node.Name}", "see `migctl guest show`");

    private static Task Done(HttpContext context) =>
        JsonBody.WriteAsync(context, 200, new Dictionary<string, string>(), WireJson.Options);

    private static GuestName GuestOf(HttpContext context)
    {
        try
        {
            return GuestName.Parse((string)context.GetRouteValue("name")!);
        }
        catch (FormatException error)
        {
            throw new BadHttpRequestException(error.Message, 400, error);
        }
    }
}
