using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;

namespace MigrationCluster.Node.Http;

/// <summary>What holds for every route: the wire version both ways, and an <see cref="ApiError"/> in every failing reply.</summary>
public static class ErrorReplies
{
    private const int UpgradeRequired = 426;

    public static void UseErrorReplies(this IApplicationBuilder app, ILogger logger) => app.Use(async (context, next) =>
    {
        context.Response.Headers[Wire.Header] = Wire.Version.ToString(CultureInfo.InvariantCulture);
        if (ForeignVersion(context.Request) is { } foreign)
        {
            await JsonBody.WriteAsync(context, foreign);
            return;
        }

        try
        {
            await next(context);
            if (!context.Response.HasStarted && context.Response.StatusCode is 404 or 405)
                await JsonBody.WriteAsync(context, NoSuchRoute(context.Request, context.Response.StatusCode));
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller has gone.
        }
        catch (BadHttpRequestException error)
        {
            await JsonBody.WriteAsync(context, new HttpRefusal(error.StatusCode, new ApiError(
                ErrorCodes.BadRequest, error.Message, [new Reason(ErrorCodes.BadRequest, error.Message, "correct the request")])));
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            logger.LogError(error, "{Method} {Path} failed", context.Request.Method, context.Request.Path);
            await JsonBody.WriteAsync(context, new HttpRefusal(500, new ApiError(
                ErrorCodes.Internal, $"{context.Request.Method} {context.Request.Path} failed: {error.Message}",
                [new Reason(ErrorCodes.Internal, error.Message, "see the node's log; what was asked may or may not have been done")])));
        }
    });

    private static HttpRefusal? ForeignVersion(HttpRequest request)
    {
        if (!request.Headers.TryGetValue(Wire.Header, out var header)) return null;
        string? refusal = int.TryParse(header, NumberStyles.None, CultureInfo.InvariantCulture, out int theirs)
            ? Wire.Refusal(Wire.Version, theirs)
            : $"wire version '{header}' is no number";
        return refusal is null
            ? null
            : new HttpRefusal(UpgradeRequired, new ApiError(
                ErrorCodes.WireVersion, refusal,
                [new Reason(ErrorCodes.WireVersion, refusal, "bring both sides to the same release")]));
    }

    private static HttpRefusal NoSuchRoute(HttpRequest request, int status) => new(status, new ApiError(
        ErrorCodes.BadRequest, $"there is no {request.Method} {request.Path} here",
        [new Reason(ErrorCodes.BadRequest, $"{request.Method} {request.Path} is not known", "check the path and the release")]));
}
