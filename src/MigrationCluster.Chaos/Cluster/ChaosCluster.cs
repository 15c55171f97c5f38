using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MigrationCluster.Api;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Chaos.Cluster.Faults;
using MigrationCluster.Devices.Faults;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>
/// A cluster of real processes in the run's folder: coordinators c1 to c3 (or c1 alone, on SQLite), hosts n1 to nN, guests g1 to gN.
/// The last host cannot make the device template `rare`, which every fourth guest has: that guest cannot go there.
/// </summary>
internal sealed class ChaosCluster(ChaosSettings settings) : IDisposable
{
    private const string Rare = "rare";
    private static readonly TimeSpan JoinLimit = TimeSpan.FromSeconds(120);
    private readonly Dictionary<string, Daemon> _daemons = [];
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _held = new();
    private readonly Dictionary<string, ClusterClient> _clients = [];

    public ChaosSettings Settings => settings;

    public Network? Network { get; } = settings.Namespaces ? new Network(Path.GetFileName(settings.Folder)) : null;

    public Database? Database { get; } = settings.OnPostgres
        ? new Database(Path.Combine(settings.Folder, "db"), standby: settings.Faults.Contains(DatabaseFailover.FaultName))
        : null;

    public Shim.Shim Shim { get; } = new(settings.Folder);

    /// <summary>Guests that a fault has killed or maimed, and that an operator is to replace.</summary>
    public ConcurrentDictionary<string, string> Sacrificed { get; } = new();

    public Daemon Daemon(string name) => _daemons[name];

    public string PathOf(string name) => Path.Combine(settings.Folder, name);

    public string DataOf(string daemon) => Path.Combine(settings.Folder, daemon, "d");

    public HostFolder Files(string host, string guest) => new(Path.Combine(DataOf(host), "guests", guest));

    /// <summary>The file by which the devices of a host are told to misbehave.</summary>
    public string DeviceOrders(string host) => PathOf(host + ".devices");

    /// <summary>Some coordinator: a caller that is refused or not answered asks again, and another.</summary>
    public ClusterClient Client(int turn = 0) => _clients[settings.Coordinators[turn % settings.Coordinators.Count]];

    public async Task StartAsync(CancellationToken cancel)
    {
        Database?.Make();
        if (settings.Namespaces) IssueCertificates();
        foreach (string name in settings.Daemons)
        {
            Directory.CreateDirectory(PathOf(name));
            await File.WriteAllTextAsync(PathOf(name + ".json"), Configuration(name), cancel);
            _daemons[name] = new Daemon(name, PathOf(name + ".log"), Program(name), port => Arguments(name, port));
            await _daemons[name].StartAsync();
            if (settings.Coordinators.Contains(name)) _clients[name] = new ClusterClient(
                _daemons[name].Address, settings.Namespaces ? Credentials.Open(Certificate("operator", "chaos")) : null);
        }

        await UntilJoinedAsync(cancel);
        foreach (string guest in settings.GuestNames) await StartGuestAsync(guest, cancel);
    }

    /// <param name="host">null: each guest has one of its own.</param>
    public async Task StartGuestAsync(string guest, CancellationToken cancel, string? host = null)
    {
        int number = settings.GuestNames.ToList().IndexOf(guest);
        await Client().StartGuestAsync(JsonSerializer.Serialize(
            new StartGuestRequest(host ?? settings.Hosts[number % settings.Hosts.Count], Spec(guest, number)), Json.Requests), cancel);
    }

    /// <summary>The host that a guest cannot go to; null: it can go to all.</summary>
    public string? Misfit(string guest) => settings.GuestNames.ToList().IndexOf(guest) % 4 == 3 ? settings.Hosts[^1] : null;

    public async Task UntilJoinedAsync(CancellationToken cancel)
    {
        for (var watch = Stopwatch.StartNew(); ; await Task.Delay(100, cancel))
        {
            try
            {
                var nodes = await Client().ListNodesAsync(cancel);
                if (settings.Daemons.All(name => nodes.Any(node => node.Name == name && node.Reachable))) return;
            }
            catch (ApiException)
            {
                // A coordinator that has just been started.
            }

            if (watch.Elapsed > JoinLimit) throw new IOException($"the cluster is not whole after {JoinLimit.TotalSeconds:F0} s");
        }
    }

    /// <summary>Starts what has died, thaws what stands still.</summary>
    public async Task MendAsync()
    {
        foreach (var (id, _) in Processes.Naming(settings.Folder)) Processes.Send(id, Processes.Continue);
        foreach (var daemon in _daemons.Values) if (!daemon.Lives) await daemon.StartAsync();
    }

    /// <summary>Whoever strikes a target has it for himself until his fault is undone.</summary>
    public async Task<IDisposable> HoldAsync(string target, CancellationToken cancel)
    {
        var turn = _held.GetOrAdd(target, _ => new SemaphoreSlim(1));
        await turn.WaitAsync(cancel);
        return new Held(turn);
    }

    /// <returns>the hosts where a process of the guest lives.</returns>
    public IReadOnlyList<string> HostsOf(string guest) => [.. settings.Hosts.Where(host => Files(host, guest).Guest is not null)];

    /// <summary>Stops guests and ends daemons in good order.</summary>
    /// <returns>what did not go so.</returns>
    public async Task<IReadOnlyList<string>> EndAsync()
    {
        var trouble = new List<string>();
        foreach (string guest in settings.GuestNames)
        {
            try
            {
                await Client().StopGuestAsync(guest, default);
            }
            catch (ApiException error)
            {
                trouble.Add($"{guest} cannot be stopped: {error.Message}");
            }
        }

        foreach (string host in settings.Hosts)
            foreach (string guest in settings.GuestNames)
                trouble.AddRange(Files(host, guest).Leftovers().Select(left => $"left of stopped {guest} on {host}: {left}"));
        foreach (var daemon in _daemons.Values.Reverse())
            if (await daemon.EndAsync() is not 0 and var status)
                trouble.Add($"{daemon.Name} did not end in good order: {status?.ToString(CultureInfo.InvariantCulture) ?? "killed"}");
        return trouble;
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values) client.Dispose();
        foreach (var daemon in _daemons.Values) daemon.Dispose();
    }

    private GuestSpec Spec(string name, int number) => new(name, settings.GuestMiB, new VcpuSpec(1, "hotset", 4),
    [
        new DeviceSpec("net0", "net", ["gpu0"]), new DeviceSpec("gpu0", "gpu"), new DeviceSpec("serial0", number % 4 == 3 ? Rare : "serial"),
    ]);

    private string Configuration(string name)
    {
        var templates = new Dictionary<string, object>
        {
            ["net"] = new { model = "net", parameters = new Dictionary<string, string> { ["dma-rate"] = "1", ["p2p-rate"] = "20" } },
            ["gpu"] = new { model = "gpu", parameters = new Dictionary<string, string> { ["memory-mib"] = "16", ["dirty-rate"] = "2" } },
            ["serial"] = new { model = "serial" },
        };
        if (name != settings.Hosts[^1]) templates[Rare] = new { model = "net", parameters = new Dictionary<string, string> { ["queues"] = "4" } };
        else templates[Rare] = new { model = "serial" };
        return JsonSerializer.Serialize(new { memoryMiB = settings.GuestMiB * (settings.Guests + 2), reconnectSeconds = 15, templates });
    }

    private string[] Program(string name) =>
    [
        .. Network?.On(name) ?? [], "env", $"{FaultyDevice.Variable}={DeviceOrders(name)}", .. Shim.Around(name),
        .. settings.Planted is { } bug ? PlantedNodeCommand.Command(bug) : [Shell.Find("MigrationCluster.Node", "mc-node")],
    ];

    private string[] Arguments(string name, int port)
    {
        string listen = $"{(settings.Namespaces ? Network.Address(settings, name) : "127.0.0.1")}:{port}";
        string[] role = !settings.Coordinators.Contains(name)
            ? [.. settings.Coordinators.SelectMany(other => (string[])["--join", _daemons[other].Address.ToString().TrimEnd('/')])]
            : Database is null ? ["--coordinator"] : ["--coordinator", "--engine", "postgres", "--connection", Database.Connection];
        return
        [
            "--name", name, "--listen", listen, "--data-dir", DataOf(name), "--config", PathOf(name + ".json"),
            .. settings.Namespaces ? (string[])["--certs", Certificate("node", name)] : [], .. role,
        ];
    }

    private void IssueCertificates()
    {
        string migctl = Shell.Find("MigrationCluster.Cli", "migctl");
        Shell.Run(migctl, "certs", "init", PathOf("ca"));
        Shell.Run(migctl, "certs", "issue", PathOf("ca"), "--operator", "chaos");
        foreach (string name in settings.Daemons)
            Shell.Run([migctl, "certs", "issue", PathOf("ca"), "--node", name, "--address", Network.Address(settings, name),
                .. settings.Coordinators.Contains(name) ? (string[])["--may-coordinate"] : []]);
    }

    private string Certificate(string role, string name) => Path.Combine(PathOf("ca"), $"{role}-{name}");

    private sealed class Held(SemaphoreSlim turn) : IDisposable
    {
        public void Dispose() => turn.Release();
    }
}
