using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace MigrationCluster.Cli.Commands;

/// <summary>The generated help, then what only a person would write: examples, units, exit codes.</summary>
public sealed class HelpPage(HelpAction generated) : SynchronousCommandLineAction
{
    private const string Units = """
        Units:
          time    300ms, 1s                 (a whole number with ms or s)
          size    512MiB, 1GiB              (a whole number with MiB or GiB)
          rate    100MiB/s, 1GiB/s          (a whole number with MiB/s or GiB/s)
        """;

    private const string ExitCodes = """
        Exit codes:
          0  done
          1  error, or something is not as it should be
          2  usage: the command line or the file given is wrong
          3  refused; all reasons are printed, nothing has moved
          4  aborted by a limit (no convergence, a deadline); the guest runs on the source
          5  cancelled; the guest runs on the source
          6  moved, but the source could not release everything
          7  in doubt, or not over yet, when the limit of a watch passed
          130  interrupted with Ctrl-C; a migration being watched goes on
        """;

    public override bool ClearsParseErrors => true;

    public override int Invoke(ParseResult parseResult)
    {
        int result = generated.Invoke(parseResult);
        var output = parseResult.InvocationConfiguration.Output;
        string name = parseResult.CommandResult.Command.Name;
        if (Examples(parseResult.CommandResult.Command) is { } examples) output.WriteLine("Examples:\n" + examples + "\n");
        if (parseResult.CommandResult.Command is RootCommand || name is "demo" or "migrate" or "plan") output.WriteLine(Units + "\n");
        output.WriteLine(ExitCodes);
        return result;
    }

    private static string? Examples(Command command) => command.Name switch
    {
        _ when command is RootCommand => """
              migctl demo                                     see a migration on this machine, nothing else needed
              migctl node list
              migctl guest start --host alpha --spec web.json
              migctl plan web                                 where it could go, and how long it would take
              migctl migrate web --to beta --max-downtime 300ms
              migctl migration watch m-7f3a9c
              migctl compat check web --to beta
              migctl certs init certs                         for a cluster beyond one machine
            """,
        "demo" => """
              migctl demo
              migctl demo --memory 256MiB --devices net,serial
              migctl demo --output json | jq .downtimeMs
              migctl demo --keep                              leave it running, to play with
              migctl demo --end /tmp/mcd-3fa9c1               end one that was left running
            """,
        "migrate" => """
              migctl migrate web --to beta                    shows the migration until it has ended
              migctl migrate web                              to the best of all hosts that can take it
              migctl migrate web --plan p-7f3a-…              as planned, unless anything has changed
              migctl migrate web --to beta --on-stall switch  even if the downtime cannot be kept to
              migctl migrate web --to beta --detach           prints its id and returns
              migctl migrate web --to beta --accept-unknown   although nobody can tell whether it fits
              migctl migrate web --to beta --plain            unsealed between machines, on your word
              migctl migrate web --to beta --verify full      compares all of RAM before the guest is handed over

            Ctrl-C stops watching, not the migration: `migctl migration watch ID` goes on
            watching, `migctl migration cancel ID` brings the guest back.
            """,
        "plan" => """
              migctl plan web                                 every host, and the best of them
              migctl plan web --to beta --max-downtime 100ms

            Exit code 0: it can go; 3: it cannot, for the reasons printed. What it will cost is learned from
            earlier migrations; the first ones go by assumptions, and the plan says so.
            """,
        "compat" => """
              migctl compat check web --to beta               could it move there, and come back?
              migctl compat explain web/net0 beta             one device beside what beta could make
              migctl compat matrix --class net-basic          which host takes it from which other
              migctl compat baseline --class net-basic --min-targets 3

            Exit code 0: compatible; 3: not, or nobody can tell.
            """,
        "certs" or "init" or "issue" => """
              migctl certs init certs                         an authority; one for each cluster
              migctl certs issue certs --node alpha --may-coordinate --address 10.0.0.1
              migctl certs issue certs --node beta
              migctl certs issue certs --operator ada
              migctl certs show certs/node-alpha

              mc-node --name alpha --certs certs/node-alpha --listen 10.0.0.1:7101 --coordinator ...
              mc-node --name beta  --certs certs/node-beta  --listen 10.0.0.2:7101 --join https://10.0.0.1:7101 ...
              migctl --certs certs/operator-ada --coordinator https://10.0.0.1:7101 node list

            Each of nodes, coordinators (--may-coordinate) and operators may ask only for what it is for.
            A node reads its certificate when it starts: to renew one, start it again; guests run on.
            """,
        "start" => """
              migctl guest start --host alpha --spec web.json

            web.json:
              {
                "name": "web",
                "memoryMiB": 512,
                "vcpus": { "count": 2, "pattern": "hotset", "dirtyRateMiBps": 50 },
                "devices": [
                  { "name": "net0", "template": "net-basic", "peerToPeer": ["gpu0"] },
                  { "name": "gpu0", "template": "gpu-256" }
                ]
              }

            Patterns: uniform, hotset, sequential. Templates: see `migctl node list`.
            """,
        "guest" => """
              migctl guest list
              migctl guest check web                          the guest checks its own memory and devices
            """,
        "migration" => """
              migctl migration list
              migctl migration show m-7f3a9c --output json
              migctl migration why m-7f3a9c                   who decided what, on which evidence
              migctl migration cancel m-7f3a9c
              migctl migration reconcile                      set right what can be proved, name what cannot
              migctl migration reconcile --host-is-dead beta --operator ada
            """,
        _ => null,
    };
}
