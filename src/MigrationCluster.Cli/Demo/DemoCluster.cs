using System.Text.Json;
using System.Text.Json.Nodes;
using MigrationCluster.Api;

namespace MigrationCluster.Cli.Demo;

/// <summary>Two nodes on this machine and the folder that holds all they write.</summary>
public sealed class DemoCluster : IDisposable
{
    private static readonly TimeSpan JoinLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan StopGrace = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    private readonly List<NodeProcess> _nodes = [];
    private readonly List<Reason> _disorder = [];
    private readonly string _executable;

    private DemoCluster(string executable, string folder)
    {
        _executable = executable;
        Folder = folder;
    }

    public string Folder { get; }
    public IReadOnlyList<NodeProcess> Nodes => _nodes;
    public Uri? Coordinator { get; private set; }

    /// <summary>Nodes that did not end as they should, once removed. Of interest only where they were up.</summary>
    public IReadOnlyList<Reason> Disorder => _disorder;

    public static DemoCluster Create(string executable) => new(executable, DemoFolder.Create());

    /// <summary>Starts the coordinator and the second node; returns when both are known to the coordinator.</summary>
    public async Task StartAsync(DemoSettings settings, Action<string, Uri> ready, CancellationToken cancellationToken)
    {
        string config = Path.Combine(Folder, DemoFolder.Configuration);
        await File.WriteAllTextAsync(config, NodeConfiguration(settings), cancellationToken);
        Coordinator = await StartNodeAsync(DemoSettings.Source, config, ["--coordinator"], cancellationToken);
        ready(DemoSettings.Source, Coordinator);
        var second = await StartNodeAsync(
            DemoSettings.Destination, config, ["--join", Coordinator.ToString().TrimEnd('/')], cancellationToken);
        ready(DemoSettings.Destination, second);
        await WaitForBothAsync(cancellationToken);
    }

    /// <summary>Stops the nodes, then whatever they have started, then removes the folder. Not to be cancelled.</summary>
    /// <returns>what could not be removed; empty normally.</returns>
    public async Task<IReadOnlyList<string>> RemoveAsync(TimeProvider time)
    {
        int[] codes = await Task.WhenAll(_nodes.Select(node => node.StopAsync(StopGrace)));
        foreach (var (node, code) in _nodes.Zip(codes))
        {
            if (code == 0) continue;
            string message = $"node {node.Name} ended with exit code {code} when it was asked to end";
            _disorder.Add(new Reason("demo.node-ended", string.Join("\n    ", [message, .. node.LogTail(20)]), ""));
        }
        return await DemoFolder.RemoveAsync(Folder, time);
    }

    public void Dispose()
    {
        foreach (var node in _nodes) node.Dispose();
    }

    private async Task<Uri> StartNodeAsync(
        string name, string config, string[] role, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var node = NodeProcess.Start(_executable, name, Path.Combine(Folder, name + ".log"),
        [
            "--listen", "127.0.0.1:0", "--data-dir", Path.Combine(Folder, name), "--config", config, .. role,
        ]);
        _nodes.Add(node);
        return await node.ReadyAsync(cancellationToken);
    }

    private async Task WaitForBothAsync(CancellationToken cancellationToken)
    {
        using var client = new ClusterClient(Coordinator!);
        long started = TimeProvider.System.GetTimestamp();
        while (TimeProvider.System.GetElapsedTime(started) < JoinLimit)
        {
            var nodes = await client.ListNodesAsync(cancellationToken);
            if (nodes.Count(node => node.Reachable) >= 2) return;
            await Task.Delay(BetweenLooks, cancellationToken);
        }
        throw new ApiException(
            new ApiError("demo.join", $"node {DemoSettings.Destination} did not join within {JoinLimit.TotalSeconds:F0} s", []),
            ApiException.Unreachable);
    }

    private static string NodeConfiguration(DemoSettings settings) => JsonSerializer.Serialize(new JsonObject
    {
        ["memoryMiB"] = Math.Max(4096, settings.MemoryMiB + (settings.GpuCount * DemoSettings.GpuMemoryMiB) + 512),
        ["templates"] = new JsonObject
        {
            ["net-basic"] = Template("net", new JsonObject { ["dma-rate"] = "5", ["p2p-rate"] = "200" }),
            ["gpu-256"] = Template("gpu", new JsonObject
            {
                ["memory-mib"] = DemoSettings.GpuMemoryMiB.ToString(),
                ["dirty-rate"] = "20",
            }),
            ["serial"] = Template("serial", []),
        },
    });

    private static JsonObject Template(string model, JsonObject parameters) =>
        new() { ["model"] = model, ["parameters"] = parameters };
}
