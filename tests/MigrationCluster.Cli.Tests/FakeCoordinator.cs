using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Tests;

/// <summary>Answers as a coordinator would, with what a test puts in: for rendering, errors and exit codes only.</summary>
internal sealed class FakeCoordinator : IAsyncDisposable
{
    /// <summary>The form of the API, for whatever a test replies.</summary>
    private static readonly JsonSerializerOptions Options = new(Json.Requests) { TypeInfoResolver = new DefaultJsonTypeInfoResolver() };

    private readonly WebApplication _app;
    private readonly List<(string Part, TaskCompletionSource Asked)> _awaited = [];
    private readonly Dictionary<string, Func<HttpContext, Task<IResult>>> _routes = [];

    private FakeCoordinator(WebApplication app) => _app = app;

    public string Url => _app.Urls.Single();
    public string WireVersion { get; set; } = Wire.Version.ToString();
    public List<string> Requests { get; } = [];

    public static async Task<FakeCoordinator> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(options =>
            options.Listen(System.Net.IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        var app = builder.Build();
        var fake = new FakeCoordinator(app);
        app.Run(fake.AnswerAsync);
        await app.StartAsync();
        return fake;
    }

    public FakeCoordinator On(string methodAndPath, object reply)
    {
        _routes[methodAndPath] = _ => Task.FromResult(Results.Json(reply, Options));
        return this;
    }

    /// <summary>Each call gets the next reply; after the last one calls are held until the caller gives up.</summary>
    public FakeCoordinator OnEach(string methodAndPath, params object[] replies)
    {
        var queue = new Queue<object>(replies);
        _routes[methodAndPath] = async context =>
        {
            if (queue.TryDequeue(out var reply)) return Results.Json(reply, Options);
            await Task.Delay(Timeout.Infinite, context.RequestAborted);
            return Results.Empty;
        };
        return this;
    }

    public FakeCoordinator Fails(string methodAndPath, int status, ApiError error)
    {
        _routes[methodAndPath] = _ => Task.FromResult(Results.Json(error, Options, statusCode: status));
        return this;
    }

    public FakeCoordinator Says(string methodAndPath, string body)
    {
        _routes[methodAndPath] = _ => Task.FromResult(Results.Text(body, "application/json"));
        return this;
    }

    /// <summary>Completes when a request whose line has <paramref name="part"/> in it has come in.</summary>
    public Task UntilAsked(string part)
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (Requests)
        {
            if (Requests.Any(request => request.Contains(part))) return Task.CompletedTask;
            _awaited.Add((part, asked));
        }
        return asked.Task;
    }

    public async ValueTask DisposeAsync() => await _app.DisposeAsync();

    private void Note(string request)
    {
        lock (Requests)
        {
            Requests.Add(request);
            foreach (var (part, asked) in _awaited)
                if (request.Contains(part)) asked.TrySetResult();
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        context.Response.Headers[Wire.Header] = WireVersion;
        string key = $"{context.Request.Method} {context.Request.Path}";
        using var body = new StreamReader(context.Request.Body);
        string text = await body.ReadToEndAsync();
        Note($"{key}{context.Request.QueryString} {text}".TrimEnd());
        if (!_routes.TryGetValue(key, out var route))
        {
            context.Response.StatusCode = 404;
            return;
        }
        try
        {
            await (await route(context)).ExecuteAsync(context);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller gave up, as the test meant it to.
        }
    }
}
