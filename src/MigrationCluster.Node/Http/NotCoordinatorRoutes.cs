using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using MigrationCluster.Api;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Http;

/// <summary>On a node that does not coordinate: says who does.</summary>
public static class NotCoordinatorRoutes
{
    private static readonly string[] Prefixes = ["nodes", "guests", "migrations", "compat", "agents", "reconcile"];

    public static void Map(IEndpointRouteBuilder routes, NodeIdentity node, Uri coordinator)
    {
        foreach (string prefix in Prefixes)
            routes.Map("/v1/" + prefix + "/{**rest}", context => JsonBody.WriteAsync(context, HttpRefusal.Conflict(
                ErrorCodes.NotCoordinator, $"node {node.Name} is not a coordinator",
                $"ask the one at {coordinator.GetLeftPart(UriPartial.Authority)}")));
    }
}
