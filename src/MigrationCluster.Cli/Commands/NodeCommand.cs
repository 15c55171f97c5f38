using System.CommandLine;
using MigrationCluster.Api;
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
        var name = new Argument<string>("HOST") { Description = "the host's name" };
        var bandwidth = UnitOptions.Bandwidth("most that all its outgoing transfers together send in a second from now on, in fair parts");
        (bandwidth.DefaultValueFactory, bandwidth.Required) = (null, true);
        var set = new Command("set", "Changes a host until its mc-node starts again; for longer, say it in its configuration file.")
        {
            name, bandwidth,
        };
        Invocation.Handle(set, terminal, interruption, async (run, cancellationToken) =>
        {
            using var client = run.Connect();
            var node = await client.LimitNodeAsync(
                run.Parse.GetRequiredValue(name), new BandwidthRequest(bandwidth.Read(run.Parse)), cancellationToken);
            if (run.Json) run.WriteJson(node);
            else run.Terminal.Output.WriteLine($"{node.Name} keeps to {Bandwidth.Text(node.MaxBytesPerSecond)}, until its mc-node starts again");
            return ExitCodes.Done;
        });
        return new Command("node", "Hosts of the cluster.") { list, set };
    }
}
