using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Cli;
using MigrationCluster.Cli.Commands;
using MigrationCluster.Node.Tests.Fakes;

namespace MigrationCluster.Node.Tests.EndToEnd;

/// <summary>
/// Real nodes, alpha (the coordinator), beta and where a test wants it gamma, in a folder with a short name, and the guests a test
/// starts there; with a database the coordinators are three nodes of their own, c1 to c3, and where a test wants one apart, c1 alone. At its end
/// the guests are stopped and the nodes asked to end, and nothing may be left: no file of a guest's process, and no process that
/// names the folder.
/// </summary>
internal sealed class Fleet : IAsyncDisposable
{
    public const string Alpha = "alpha";
    public const string Beta = "beta";
    public const string Gamma = "gamma";
    public const string Coordinator = "c1";
    public const string Guest = "g";

    private readonly Dictionary<string, NodeProcess> _nodes = [];
    private readonly Dictionary<string, int> _ports = [];
    private readonly string _folder = Create();
    private readonly TestAuthority? _authority;

    private readonly bool _apart;

    private Fleet(string? database, bool apart, TestAuthority? authority) => (Database, _apart, _authority) = (database, apart, authority);

    /// <summary>The coordinators' database; null: the embedded engine.</summary>
    public string? Database { get; }

    /// <summary>Of the last coordinator.</summary>
    public ClusterClient Client { get; private set; } = null!;

    /// <summary>Of the first: what is asked of it, it coordinates.</summary>
    public ClusterClient First { get; private set; } = null!;

    private IReadOnlyList<string> Coordinators =>
        Database is not null ? [Coordinator, "c2", "c3"] : _apart ? [Coordinator] : [Alpha];

    /// <param name="betaConfiguration">beta's, where it is not to be as alpha's.</param>
    /// <param name="guest">running on alpha from the start; null: none.</param>
    /// <param name="database">connection string of the coordinators' PostgreSQL; null: alpha coordinates, on the embedded engine.</param>
    /// <param name="alphaConfiguration">alpha's, where it is not the common one.</param>
    /// <param name="gammaConfiguration">null: there is no gamma.</param>
    /// <param name="apart">the coordinator of the embedded engine is a node of its own, c1.</param>
    /// <param name="authority">of the nodes' and the operator's certificates; null: they talk plainly.</param>
    public static async Task<Fleet> StartAsync(
        int memoryMiB = 256, string? betaConfiguration = null, GuestSpec? guest = null, string? database = null,
        string? alphaConfiguration = null, string? gammaConfiguration = null, bool apart = false,
        TestAuthority? authority = null)
    {
        var fleet = new Fleet(database, apart, authority);
        try
        {
            foreach (string coordinator in fleet.Coordinators)
            {
                string own = coordinator == Alpha ? alphaConfiguration ?? Configuration(memoryMiB) : Configuration(memoryMiB);
                await File.WriteAllTextAsync(fleet.PathOf(coordinator + ".json"), own);
                await fleet.StartNodeAsync(coordinator);
            }

            await File.WriteAllTextAsync(fleet.PathOf("alpha.json"), alphaConfiguration ?? Configuration(memoryMiB));
            await File.WriteAllTextAsync(fleet.PathOf("beta.json"), betaConfiguration ?? Configuration(memoryMiB));
            if (database is not null || apart) await fleet.StartNodeAsync(Alpha);
            await fleet.StartNodeAsync(Beta);
            if (gammaConfiguration is not null)
            {
                await File.WriteAllTextAsync(fleet.PathOf("gamma.json"), gammaConfiguration);
                await fleet.StartNodeAsync(Gamma);
            }

            if (guest is not null) await fleet.StartGuestAsync(guest);
            return fleet;
        }
        catch
        {
            await fleet.RemoveAsync([]);
            throw;
        }
    }

    public static string Configuration(int memoryMiB, int gpuMiB = 128) => $$"""
        { "memoryMiB": {{memoryMiB}}, "templates": {
            "net": { "model": "net", "parameters": { "dma-rate": "2", "p2p-rate": "100" } },
            "gpu": { "model": "gpu", "parameters": { "memory-mib": "{{gpuMiB}}", "dirty-rate": "8" } },
            "serial": { "model": "serial" } } }
        """;

    public static GuestSpec Spec(string name = Guest, int memoryMiB = 64) => new(
        name, memoryMiB, new VcpuSpec(2, "hotset", 8),
        [
            new DeviceSpec("net0", "net", ["gpu0"]), new DeviceSpec("gpu0", "gpu"), new DeviceSpec("serial0", "serial"),
            new DeviceSpec("net1", "net"),
        ]);

    public string PathOf(string name) => Path.Combine(_folder, name);

    public NodeProcess Node(string host) => _nodes[host];

    public GuestOnHost Files(string host, string guest = Guest) => new(Path.Combine(_folder, host, "guests", guest));

    /// <summary>Starts a node, or starts it again on its own data; the coordinator where it was, everybody else anywhere.</summary>
    /// <param name="joins">false: returns when it listens, whether or not a coordinator is there to be joined.</param>
    public async Task StartNodeAsync(string host, Armed? armed = null, bool joins = true)
    {
        string listen = $"127.0.0.1:{_ports.GetValueOrDefault(host)}";
        if (_nodes.Remove(host, out var before)) before.Dispose();

        string[] role = !Coordinators.Contains(host)
            ? [.. Coordinators.SelectMany(name => (string[])["--join", Node(name).Address.ToString().TrimEnd('/')])]
            : Database is null ? ["--coordinator"] : ["--coordinator", "--engine", "postgres", "--connection", Database];
        _nodes[host] = await NodeProcess.StartAsync(
            PathOf(host + ".log"), [.. Arguments(host, listen, host), .. role], armed);
        if (Coordinators.Contains(host)) _ports[host] = Node(host).Address.Port;
        if (host == Coordinators[0]) First ??= new ClusterClient(Node(host).Address, _authority?.Operator("ada"));
        if (host == Coordinators[^1]) Client ??= new ClusterClient(Node(host).Address, _authority?.Operator("ada"));
        if (Client is null || !joins) return;
        await Eventually.TrueAsync($"{host} has joined", async () => Node(host).HasEnded
            ? throw new InvalidOperationException($"{host} has ended before it joined: {Node(host).Log}")
            : (await Client.ListNodesAsync(default)).Any(node => node.Name == host && node.Reachable));
    }

    /// <summary>The whole host is gone: its daemon, its guests' processes and their devices.</summary>
    public async Task KillHostAsync(string host)
    {
        await Node(host).KillAsync();
        for (var left = ProcessFiles.Naming(PathOf(host) + "/"); left.Count > 0; left = ProcessFiles.Naming(PathOf(host) + "/"))
        {
            foreach (var (id, _) in left) Signals.KillIfThere(id);
            await Task.Delay(20);
        }
    }

    /// <summary>Runs migctl against the first coordinator.</summary>
    /// <returns>its exit code, and what it wrote.</returns>
    public async Task<(int Code, string Output)> MigctlAsync(params string[] arguments)
    {
        var output = new StringWriter();
        using var interruption = new Interruption();
        int code = await Migctl.RunAsync(
            [.. arguments, "--coordinator", Node(Coordinators[0]).Address.ToString()], new Terminal(output, output, interactive: false), interruption);
        return (code, output.ToString());
    }

    /// <summary>Ends a node in good order and starts it again; guests go on.</summary>
    public async Task RestartNodeAsync(string host, Armed? armed)
    {
        Assert.Equal(0, await Node(host).EndAsync());
        await StartNodeAsync(host, armed);
    }

    /// <summary>Returns once every node is with the coordinator, which may just have been restarted.</summary>
    public Task UntilJoinedAsync() => Eventually.TrueAsync("every node is with the coordinator", async () =>
    {
        var nodes = await Client.ListNodesAsync(default);
        return _nodes.Keys.All(host => nodes.Any(node => node.Name == host && node.Reachable));
    });

    public string[] Arguments(string host, string listen, string dataDirectory) =>
    [
        "--name", host, "--listen", listen, "--data-dir", PathOf(dataDirectory), "--config", PathOf(host + ".json"),
        .. _authority is null ? [] : (string[])["--certs", _authority.Issue(
            Coordinators.Contains(host) ? CertificateRole.Coordinator : CertificateRole.Node, host)],
    ];

    public async Task StartGuestAsync(GuestSpec? spec = null, string host = Alpha) => await Client.StartGuestAsync(
        JsonSerializer.Serialize(new StartGuestRequest(host, spec ?? Spec()), Json.Requests), default);

    /// <summary>What every node and guest process has said, for a test that failed.</summary>
    public string Logs() => string.Join('\n', Directory.EnumerateFiles(_folder, "*.log*", SearchOption.AllDirectories)
        .Select(file => $"== {file}\n{File.ReadAllText(file)}"));

    /// <summary>Kills everything and removes the folder: nothing is known of what a failed test left.</summary>
    public Task AbandonAsync() => RemoveAsync([]);

    public async ValueTask DisposeAsync()
    {
        var trouble = new List<string>();
        try
        {
            foreach (var guest in await Client.ListGuestsAsync(default)) await Client.StopGuestAsync(guest.Name, default);
            trouble.AddRange(Guests().SelectMany(guest => guest.Leftovers()).Select(left => $"left of a stopped guest: {left}"));
            foreach (string host in _nodes.Keys.Except(Coordinators).Concat(Coordinators))
                if (await _nodes[host].EndAsync() is not 0 and var status)
                    trouble.Add($"{host} ended with {status}: {_nodes[host].Log}");
        }
        catch (Exception error) when (error is ApiException or TimeoutException)
        {
            trouble.Add($"the fleet could not be asked to end: {error.Message}");
        }

        // A type that no serializer was made for is met where it is written or read, in programs that make none as they run.
        trouble.AddRange(Logs().Split('\n').Where(line => line.Contains(nameof(NotSupportedException))));
        await RemoveAsync(trouble);
        Assert.True(trouble.Count == 0, string.Join("\n", trouble));
    }

    private IEnumerable<GuestOnHost> Guests() => _nodes.Keys
        .SelectMany(host => Directory.EnumerateDirectories(PathOf(Path.Combine(host, "guests"))))
        .Select(directory => new GuestOnHost(directory));

    /// <summary>Whatever is still there goes now, and is told of.</summary>
    private async Task RemoveAsync(List<string> trouble)
    {
        for (var left = ProcessFiles.Naming(_folder + "/"); left.Count > 0; left = ProcessFiles.Naming(_folder + "/"))
        {
            trouble.AddRange(left.Select(process => $"left: {process.Id} {process.CommandLine}"));
            foreach (var (id, _) in left) Signals.KillIfThere(id);
            await Task.Delay(20);
        }

        foreach (var node in _nodes.Values) node.Dispose();
        Client?.Dispose();
        First?.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Directly under /tmp: socket paths end at 107 bytes.</summary>
    private static string Create()
    {
        string folder = "/tmp/mce-" + Convert.ToHexStringLower(Guid.NewGuid().ToByteArray().AsSpan(0, 4));
        return Directory.CreateDirectory(folder).FullName;
    }
}
