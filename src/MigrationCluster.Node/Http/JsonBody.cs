using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using MigrationCluster.Api;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Node.Http;

/// <summary>Reads and writes bodies; what cannot be read is refused naming the JSON path.</summary>
public static class JsonBody
{
    public static async Task<Answer<T>> ReadAsync<T>(HttpContext context, JsonSerializerOptions options)
        where T : class
    {
        try
        {
            var value = await JsonSerializer.DeserializeAsync(context.Request.Body, options.Of<T>(), context.RequestAborted);
            return value is null ? Malformed("the body is null, not an object") : value;
        }
        catch (JsonException error)
        {
            return Malformed(JsonErrors.Describe(error));
        }
        catch (NotSupportedException error)
        {
            // A polymorphic body without its type.
            return Malformed(error.Message);
        }
    }

    public static async Task<string> ReadTextAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        return await reader.ReadToEndAsync(context.RequestAborted);
    }

    public static async Task WriteAsync<T>(HttpContext context, int status, T value, JsonSerializerOptions options)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json; charset=utf-8";
        await JsonSerializer.SerializeAsync(context.Response.Body, value, options.Of<T>(), context.RequestAborted);
    }

    public static Task WriteAsync(HttpContext context, HttpRefusal refusal) =>
        WriteAsync(context, refusal.HttpStatus, refusal.Error, Json.Replies);

    public static Task WriteAsync<T>(HttpContext context, Answer<T> answer, JsonSerializerOptions options)
        where T : class =>
        answer.Refusal is { } refusal ? WriteAsync(context, refusal) : WriteAsync(context, 200, answer.Value!, options);

    private static HttpRefusal Malformed(string what) =>
        HttpRefusal.BadRequest(ErrorCodes.BadRequest, $"the request's body: {what}", "correct the JSON and send it again");
}
