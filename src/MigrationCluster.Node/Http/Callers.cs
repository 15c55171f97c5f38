using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Node.Agents;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Http;

/// <summary>Whose certificates may ask for a route.</summary>
public sealed record MayAsk(CertificateRole Roles);

/// <summary>
/// On a node with a certificate: who asks, and whether he may. TLS has let in whoever has a certificate of the cluster's authority; what
/// he may ask for is his role's. A route that does not say is for nobody.
/// </summary>
public static class Callers
{
    public static readonly MayAsk Anybody = new(CertificateRole.Operator | CertificateRole.Node | CertificateRole.Coordinator);

    /// <summary>An agent takes orders from coordinators, and from nobody else.</summary>
    public static readonly MayAsk Coordinators = new(CertificateRole.Coordinator);

    /// <summary>Operators, and coordinators that pass on what they were asked.</summary>
    public static readonly MayAsk Operators = new(CertificateRole.Operator | CertificateRole.Coordinator);

    public static readonly MayAsk Nodes = new(CertificateRole.Node | CertificateRole.Coordinator);

    /// <summary>After routing. Every connection here presented a certificate, and it was good then.</summary>
    public static void UseCallers(this IApplicationBuilder app, TimeProvider time) => app.Use(async (context, next) =>
    {
        if (Refuse(context, time) is { } refusal) await JsonBody.WriteAsync(context, refusal);
        else await next(context);
    });

    /// <summary>An agent is who its certificate says, and is remembered only with an address it can be called at.</summary>
    /// <returns>null: it may be admitted.</returns>
    public static HttpRefusal? RefuseHello(HttpContext context, AgentHello hello)
    {
        if (Of(context) is { } caller && !caller.IsNode(hello.Name.Value))
            return HttpRefusal.Forbidden(
                $"node {hello.Name} says hello with the certificate of {caller}", $"start node {hello.Name} with its own --certs");
        var (url, malformed) = NodeAddress.ParseUrl(hello.Address);
        return (malformed ?? NodeAddress.RefuseUrl(url!, context.Request.IsHttps)) is { } refusal
            ? HttpRefusal.BadRequest(
                ErrorCodes.BadRequest, $"the address of node {hello.Name}: {refusal}", "start it as its coordinator was, with or without --certs")
            : null;
    }

    private static HttpRefusal? Refuse(HttpContext context, TimeProvider time)
    {
        if (context.GetEndpoint() is not { } route) return null;
        if (Of(context) is not { } caller) return HttpRefusal.Forbidden("the caller has no certificate", "present one");
        if (context.Connection.ClientCertificate!.NotAfter.ToUniversalTime() < time.GetUtcNow())
        {
            // Connections live long. A caller that has a new certificate by now presents it on the next one.
            context.Features.Get<IConnectionLifetimeNotificationFeature>()?.RequestClose();
            return HttpRefusal.Forbidden(
                $"the certificate of {caller} has expired", "have a new one issued, and start again with it", ErrorCodes.CertificateExpired);
        }

        return route.Metadata.GetMetadata<MayAsk>() is { Roles: var roles } && roles.HasFlag(caller.Role)
            ? null
            : HttpRefusal.Forbidden(
                $"{caller} may not ask for {context.Request.Method} {context.Request.Path}",
                "ask with the certificate of somebody who may: operators ask coordinators, coordinators (issued with --may-coordinate) ask agents");
    }

    private static CertificateIdentity? Of(HttpContext context) =>
        context.Connection.ClientCertificate is { } certificate ? CertificateIdentity.Read(certificate) : null;
}
