using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace MigrationCluster.Cli.Commands;

/// <summary>migctl, whole: command line in, exit code out.</summary>
public static class Migctl
{
    public static async Task<int> RunAsync(string[] args, Terminal terminal, Interruption interruption)
    {
        var root = Build(terminal, interruption);
        var parse = root.Parse(args);
        if (parse.Action is ParseErrorAction)
        {
            // "Required command was not provided" adds nothing where a misspelt one is named.
            bool namesToken = parse.UnmatchedTokens.Count > 0;
            foreach (var error in parse.Errors.Where(error => !namesToken || error.Message.Contains('\'')))
                terminal.Error.WriteLine($"migctl: {error.Message}");
            terminal.Error.WriteLine($"See `{Path(parse.CommandResult)} --help`.");
            return ExitCodes.Usage;
        }
        return await parse.InvokeAsync(new InvocationConfiguration
        {
            Output = terminal.Output,
            Error = terminal.Error,
            EnableDefaultExceptionHandler = false,
            // Signals are ours: Interruption lets a command stop in order, however long that takes.
            ProcessTerminationTimeout = null,
        });
    }

    private static RootCommand Build(Terminal terminal, Interruption interruption)
    {
        var root = new RootCommand("Live-migrates running guests, devices and all, between hypervisor hosts.")
        {
            DemoCommand.Build(terminal, interruption),
            NodeCommand.Build(terminal, interruption),
            GuestCommand.Build(terminal, interruption),
            PlanCommand.Build(terminal, interruption),
            MigrateCommand.Build(terminal, interruption),
            MigrationCommand.Build(terminal, interruption),
            CompatCommand.Build(terminal, interruption),
            CertsCommand.Build(terminal, interruption),
        };
        root.Add(GlobalOptions.Coordinator);
        root.Add(GlobalOptions.Certs);
        root.Add(GlobalOptions.Output);
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new HelpPage((HelpAction)help.Action!);
        return root;
    }

    private static string Path(System.CommandLine.Parsing.SymbolResult? result)
    {
        var names = new Stack<string>();
        for (; result is not null; result = result.Parent)
        {
            if (result is System.CommandLine.Parsing.CommandResult { Command: var command })
                names.Push(command is RootCommand ? "migctl" : command.Name);
        }
        return string.Join(' ', names);
    }
}
