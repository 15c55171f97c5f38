using System.CommandLine;
using System.CommandLine.Parsing;
using System.Net;
using MigrationCluster.Api.Certificates;
using MigrationCluster.Devices.Ownership;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Hosting;

/// <summary>mc-node's command line.</summary>
public static class CommandLine
{
    private const string Sqlite = "sqlite";
    private const string Postgres = "postgres";

    private const string Help = """
        mc-node: the node daemon of MigrationCluster. One runs on every hypervisor host.

        It launches guest processes and adopts those that outlived an earlier daemon, moves guests to and from other
        hosts, and, with --coordinator, plans and decides migrations for the whole cluster. Guests go on running when it ends:
        stop them first (`migctl guest stop`) if that is not what you want.

        Example: a cluster of two on this machine.

          mc-node --name a --listen 127.0.0.1:7101 --data-dir /tmp/a --config node.json --coordinator
          mc-node --name b --listen 127.0.0.1:7102 --data-dir /tmp/b --config node.json --join http://127.0.0.1:7101

        The configuration file gives the memory for guests and the device templates a guest spec may name:

          { "memoryMiB": 4096,
            "templates": { "net-basic": { "model": "net", "parameters": { "queues": "2" } } } }

        and, if it is to be limited, what its outgoing migrations together may take of the network: "bandwidth": "1Gbit/s".
        `migctl node set` changes that while it runs.

        Any number of nodes may coordinate one cluster when they share a PostgreSQL database:

          mc-node --name a ... --coordinator --engine postgres --connection 'Host=db.example;Database=fleet;Username=mc'

        Beyond loopback every node proves who it is (`migctl certs --help`), and nothing is said unencrypted:

          mc-node --name a --certs certs/node-a --listen 10.0.0.1:7101 ... --coordinator
          mc-node --name b --certs certs/node-b --listen 10.0.0.2:7101 ... --join https://10.0.0.1:7101

        Guests' memory goes over the data plane, straight from host to host, at the address of --listen unless --data-listen says
        another. Beyond loopback it is sealed, with keys that only these two daemons have (docs/wire.md).

        It prints `listening on http[s]://ADDRESS:PORT` on standard output when it is ready; its log goes to standard error.
        Exit status: 0 ended by a signal, 1 cannot run (the reason is on standard error), 2 usage.
        """;

    /// <param name="run">runs the node until it is told to end; returns the exit status.</param>
    public static RootCommand Build(Func<NodeOptions, CancellationToken, Task<int>> run)
    {
        var name = new Option<HostName>("--name")
        {
            Description = "this host's name in the cluster: a-z, 0-9 and '-', at most 32 characters",
            HelpName = "NAME",
            Required = true,
            CustomParser = result => Checked(result, ParseName),
        };
        var listen = new Option<IPEndPoint>("--listen")
        {
            Description = "address of the HTTP API, on loopback unless --certs is given; port 0 takes any free port",
            HelpName = "ADDRESS:PORT",
            Required = true,
            CustomParser = result => Checked(result, NodeAddress.Parse),
        };
        var advertise = new Option<DnsEndPoint>("--advertise")
        {
            Description = "where others reach this node, if not at --listen: needed with 0.0.0.0 and [::]; without a port, that of --listen",
            HelpName = "HOST[:PORT]",
            CustomParser = result => Checked(result, NodeAddress.ParseAdvertised),
        };
        var certs = new Option<string>("--certs")
        {
            Description = "folder of this node's certificate (`migctl certs issue`): HTTPS, and nobody is let in without one of the same authority",
            HelpName = "DIR",
        };
        var dataListen = new Option<IPEndPoint>("--data-listen")
        {
            Description = "address of the data plane, where other nodes send guests to [default: that of --listen, or 127.0.0.1 for 0.0.0.0; any free port]",
            HelpName = "ADDRESS:PORT",
            CustomParser = result => Checked(result, NodeAddress.ParseData),
        };
        var dataDir = new Option<string>("--data-dir")
        {
            Description = "journals and guest directories; one mc-node at a time. Keep it short: socket paths end at 107 bytes",
            HelpName = "DIR",
            Required = true,
        };
        var config = new Option<string>("--config")
        {
            Description = "configuration file (JSON): memory, device templates, bandwidth",
            HelpName = "FILE",
            Required = true,
        };
        var coordinator = new Option<bool>("--coordinator") { Description = "coordinate the cluster from this node" };
        var join = new Option<Uri[]>("--join")
        {
            Description = "address of the coordinator to join; given again for each other one of the cluster: any that answers will do",
            HelpName = "URL",
            Arity = ArgumentArity.OneOrMore,
            CustomParser = result => [.. result.Tokens.Select(token => Checked(result, token.Value, NodeAddress.ParseUrl)).OfType<Uri>()],
        };
        var engine = new Option<string>("--engine")
        {
            Description = "where the coordinator keeps its journal and decides: sqlite, a file in the data directory, or postgres",
            HelpName = "ENGINE",
            DefaultValueFactory = _ => Sqlite,
        };
        engine.AcceptOnlyFromAmong(Sqlite, Postgres);
        var connection = new Option<string>("--connection")
        {
            Description = "of the PostgreSQL database, e.g. 'Host=db.example;Database=fleet;Username=mc'; a password may come from PGPASSWORD",
            HelpName = "STRING",
        };
        var root = new RootCommand(Help)
        {
            name, listen, advertise, certs, dataListen, dataDir, config, coordinator, join, engine, connection,
        };
        var failpoints = new Command(
            "failpoints", $"Lists the failpoints that {FailpointNames.Variable} and {FenceFile.FailpointVariable} can arm, for tests of recovery (docs/recovery.md).");
        failpoints.SetAction(_ => Console.Out.WriteLine(string.Join('\n', FailpointNames.All)));
        root.Add(failpoints);
        root.Add(InventoryCommand.Create());
        root.SetAction((parsed, cancellationToken) =>
        {
            var coordinators = parsed.GetValue(join) ?? [];
            if (parsed.GetValue(coordinator) == coordinators.Length > 0)
                throw new StartRefusedException("give either --coordinator or --join URL", exitCode: 2);
            bool postgres = parsed.GetValue(engine) == Postgres;
            if (postgres && !parsed.GetValue(coordinator))
                throw new StartRefusedException("--engine postgres is the coordinator's: give it with --coordinator", exitCode: 2);
            if (postgres == parsed.GetValue(connection) is null)
                throw new StartRefusedException("--engine postgres needs --connection, and nothing else does", exitCode: 2);
            var address = parsed.GetRequiredValue(listen).Address;
            var options = new NodeOptions(
                parsed.GetRequiredValue(name),
                parsed.GetRequiredValue(listen),
                parsed.GetValue(dataListen) ?? new IPEndPoint(NodeAddress.IsEvery(address) ? IPAddress.Loopback : address, 0),
                parsed.GetRequiredValue(dataDir),
                NodeConfig.Load(parsed.GetRequiredValue(config)),
                coordinators,
                parsed.GetValue(connection),
                parsed.GetValue(certs) is { } directory ? Open(directory) : null,
                parsed.GetValue(advertise));
            return run(options, cancellationToken);
        });
        return root;
    }

    private static Credentials Open(string directory)
    {
        try
        {
            return Credentials.Open(directory);
        }
        catch (CertificateException error)
        {
            throw new StartRefusedException($"--certs {error.Message}: {error.Remedy}", inner: error);
        }
    }

    private static (HostName Name, string? Refusal) ParseName(string text)
    {
        try
        {
            return (HostName.Parse(text), null);
        }
        catch (FormatException error)
        {
            return (default, error.Message);
        }
    }

    private static T? Checked<T>(ArgumentResult result, Func<string, (T? Value, string? Refusal)> parse) =>
        Checked(result, result.Tokens.Single().Value, parse);

    private static T? Checked<T>(ArgumentResult result, string text, Func<string, (T? Value, string? Refusal)> parse)
    {
        var (value, refusal) = parse(text);
        if (refusal is not null) result.AddError($"{((OptionResult)result.Parent!).Option.Name}: {refusal}");
        return value;
    }
}
