using MigrationCluster.Api;

namespace MigrationCluster.Node.Http;

/// <summary>A refusal as a value: what a caller is told, all reasons at once.</summary>
/// <param name="HttpStatus">400 asked wrongly, 403 not by him, 404 no such thing, 409 not now or not here, 503 somebody cannot be reached.</param>
public sealed record HttpRefusal(int HttpStatus, ApiError Error)
{
    public static HttpRefusal BadRequest(string code, string message, string remedy) => One(400, code, message, remedy);

    public static HttpRefusal Forbidden(string message, string remedy, string code = ErrorCodes.CallerRefused) =>
        One(403, code, message, remedy);

    public static HttpRefusal NotFound(string code, string message, string remedy) => One(404, code, message, remedy);

    public static HttpRefusal Conflict(string code, string message, string remedy) => One(409, code, message, remedy);

    public static HttpRefusal Unreachable(string message, string remedy) =>
        One(503, ErrorCodes.HostUnreachable, message, remedy);

    private static HttpRefusal One(int status, string code, string message, string remedy) =>
        new(status, new ApiError(code, message, [new Reason(code, message, remedy)]));
}
