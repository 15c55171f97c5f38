using System.CommandLine;
using MigrationCluster.Cli.Rendering;

namespace MigrationCluster.Cli.Commands;

public static class NodeCommand
{
    public static Command Build(Terminal terminal, Interruption interruption)
    {
        var list = new Command("list", "Lists the hosts: free memory, guests, device templates.");
        Invocation.Handle(list, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var nodes = await client.ListNodesAsync(cancellationToken);
            if (run.Json) run.WriteJson(nodes);
            else run.Terminal.Console.Write(Listings.Nodes(nodes));
            return ExitCodes.Done;
        });
        return new Command("node", "Hosts of the cluster.") { list };
    }
}
