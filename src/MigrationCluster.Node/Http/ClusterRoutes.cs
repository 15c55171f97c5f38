using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using MigrationCluster.Api;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Cluster;
using MigrationCluster.Node.Compatibility;
using MigrationCluster.Node.Coordination;
using MigrationCluster.Node.Journal;

namespace MigrationCluster.Node.Http;

/// <summary>A coordinator's routes: the operators' (<see cref="ClusterClient"/>), and the agents' hello.</summary>
public sealed class ClusterRoutes(
    ClusterNodes nodes, ClusterGuests guests, IMigrations migrations, MigrationInquiry inquiry, Reconciliation reconciliation, CompatQuestions questions, PlanQuestions plans, AgentDirectory agents)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/agents/hello", AgentHelloAsync).WithMetadata(Callers.Nodes);
        routes.MapGet("/v1/nodes", async context => await Write(context, await nodes.ListAsync(context.RequestAborted)));
        routes.MapPost("/v1/nodes/{name}/bandwidth", LimitNodeAsync);
        routes.MapGet("/v1/guests", async context => await Write(context, await guests.ListAsync(context.RequestAborted)));
        routes.MapPost("/v1/guests", async context => await Write(
            context, await guests.StartAsync(await JsonBody.ReadTextAsync(context), context.RequestAborted)));
        routes.MapGet("/v1/guests/{name}", async context => await Write(
            context, await guests.GetAsync(Value(context, "name"), context.RequestAborted)));
        routes.MapPost("/v1/guests/{name}/stop", async context => await Write(
            context, await guests.StopAsync(Value(context, "name"), context.RequestAborted)));
        routes.MapPost("/v1/guests/{name}/check", async context => await Write(
            context, await guests.CheckAsync(Value(context, "name"), context.RequestAborted)));
        routes.MapGet("/v1/migrations", async context => await Write(
            context, await migrations.ListAsync(context.RequestAborted)));
        routes.MapPost("/v1/migrations", MigrateAsync);
        routes.MapPost("/v1/plans", PlanAsync);
        routes.MapPost("/v1/reconcile", ReconcileAsync);
        routes.MapGet("/v1/migrations/{id}", async context => await Write(
            context, await migrations.GetAsync(Value(context, "id"), context.RequestAborted)));
        routes.MapGet("/v1/migrations/{id}/watch", WatchAsync);
        routes.MapGet("/v1/migrations/{id}/why", async context => await Write(
            context, await inquiry.WhyAsync(Value(context, "id"), context.RequestAborted)));
        routes.MapGet("/v1/compat/check", async context => await Write(context, await questions.CheckAsync(
            Asked(context, "guest"), Asked(context, "to"), context.RequestAborted)));
        routes.MapGet("/v1/compat/explain", async context => await Write(context, await questions.ExplainAsync(
            Asked(context, "device"), Asked(context, "host"), context.RequestAborted)));
        routes.MapGet("/v1/compat/matrix", async context => await Write(context, await questions.MatrixAsync(
            context.Request.Query["class"] is [{ } @class] ? @class : null, context.RequestAborted)));
        routes.MapGet("/v1/compat/baseline", async context => await Write(context, await questions.BaselineAsync(
            Asked(context, "class"), Number(context, "minTargets"), context.RequestAborted)));
        routes.MapPost("/v1/migrations/{id}/cancel", async context => await Write(
            context, await migrations.CancelAsync(Value(context, "id"), context.RequestAborted)));
        routes.MapPost("/v1/migrations/{id}/bandwidth", LimitMigrationAsync);
    }

    private async Task AgentHelloAsync(HttpContext context)
    {
        var hello = await JsonBody.ReadAsync<AgentHello>(context, WireJson.Options);
        if ((hello.Refusal ?? Callers.RefuseHello(context, hello.Value!)
            ?? await agents.AdmitAsync(hello.Value!, context.RequestAborted)) is { } refused)
            await JsonBody.WriteAsync(context, refused);
        else
            await JsonBody.WriteAsync(context, 200, hello.Value!, WireJson.Options);
    }

    private async Task MigrateAsync(HttpContext context)
    {
        var request = await JsonBody.ReadAsync<MigrateRequest>(context, Json.Requests);
        await Write(context, request.Refusal is { } malformed
            ? malformed
            : await migrations.CreateAsync(request.Value!, context.RequestAborted));
    }

    private async Task PlanAsync(HttpContext context)
    {
        var request = await JsonBody.ReadAsync<MigrateRequest>(context, Json.Requests);
        await Write(context, request.Refusal is { } malformed
            ? malformed
            : await plans.PlanAsync(request.Value!, context.RequestAborted));
    }

    private Task LimitNodeAsync(HttpContext context) => LimitAsync(
        context, request => nodes.LimitAsync(Value(context, "name"), request, context.RequestAborted));

    private Task LimitMigrationAsync(HttpContext context) => LimitAsync(
        context, request => migrations.LimitBandwidthAsync(Value(context, "id"), request, context.RequestAborted));

    private static async Task LimitAsync<T>(HttpContext context, Func<BandwidthRequest, Task<Answer<T>>> limit)
        where T : class
    {
        var request = await JsonBody.ReadAsync<BandwidthRequest>(context, Json.Requests);
        await Write(context, request.Refusal is { } malformed ? malformed : await limit(request.Value!));
    }

    private async Task ReconcileAsync(HttpContext context)
    {
        var request = await JsonBody.ReadAsync<ReconcileRequest>(context, Json.Requests);
        await Write(context, request.Refusal is { } malformed
            ? malformed
            : await reconciliation.RunAsync(request.Value!, context.RequestAborted));
    }

    private async Task WatchAsync(HttpContext context)
    {
        if (long.TryParse(context.Request.Query["after"], NumberStyles.None, CultureInfo.InvariantCulture, out long after))
            await Write(context, await migrations.WatchAsync(Value(context, "id"), after, context.RequestAborted));
        else
            await JsonBody.WriteAsync(context, HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, "a watch says after=VERSION", "add it to the query; 0 answers at once"));
    }

    private static string Asked(HttpContext context, string name) => context.Request.Query[name] is [{ Length: > 0 } value]
        ? value
        : throw new BadHttpRequestException($"{context.Request.Path} needs {name}=… once in its query");

    private static int Number(HttpContext context, string name) =>
        int.TryParse(Asked(context, name), NumberStyles.None, CultureInfo.InvariantCulture, out int number)
            ? number
            : throw new BadHttpRequestException($"{name} in the query of {context.Request.Path} is no whole number");

    private static string Value(HttpContext context, string name) => (string)context.GetRouteValue(name)!;

    private static Task Write<T>(HttpContext context, Answer<T> answer)
        where T : class =>
        JsonBody.WriteAsync(context, answer, Json.Replies);

    private static Task Write<T>(HttpContext context, T value)
        where T : class =>
        JsonBody.WriteAsync(context, 200, value, Json.Replies);
}
