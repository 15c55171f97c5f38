using System.CommandLine;
using MigrationCluster.Node.Hosting;

var parsed = CommandLine.Build(NodeHost.RunAsync).Parse(args);
if (parsed.Errors.Count > 0)
{
    foreach (var error in parsed.Errors) Console.Error.WriteLine($"mc-node: {error.Message}");
    Console.Error.WriteLine("Try 'mc-node --help'.");
    return 2;
}

try
{
    // Signals are the host's: it ends in good order, and guests go on.
    return await parsed.InvokeAsync(
        new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
}
catch (StartRefusedException refused)
{
    Console.Error.WriteLine($"mc-node: {refused.Message}");
    return refused.ExitCode;
}
