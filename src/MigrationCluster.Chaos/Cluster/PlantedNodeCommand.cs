using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using MigrationCluster.Chaos.Planting;
using MigrationCluster.Node.Hosting;

namespace MigrationCluster.Chaos.Cluster;

/// <summary>`mc-chaos planted-node BUG -- …`: mc-node, but for one machine that has a planted bug around it. The product's own program knows nothing of it.</summary>
internal static class PlantedNodeCommand
{
    public const string Name = "planted-node";

    public static Command Create()
    {
        var bug = new Argument<string>("BUG");
        var arguments = new Argument<string[]>("ARGUMENTS") { Arity = ArgumentArity.ZeroOrMore };
        var command = new Command(Name, "What `--planted` starts instead of mc-node.") { bug, arguments };
        command.Hidden = true;
        command.SetAction(async (parsed, cancelled) =>
        {
            var build = PlantedBug.Find(parsed.GetRequiredValue(bug))!.Build;
            var node = CommandLine.Build((options, cancel) => NodeHost.RunAsync(options, builder => Plant(builder, build), cancel)).Parse(parsed.GetValue(arguments) ?? []);
            try
            {
                return await node.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false }, cancelled);
            }
            catch (StartRefusedException refused)
            {
                await Console.Error.WriteLineAsync($"mc-node: {refused.Message}");
                return refused.ExitCode;
            }
        });
        return command;
    }

    public static string[] Command(string bug) => [Shell.Find("MigrationCluster.Chaos", "mc-chaos"), Name, bug, "--"];

    /// <summary>The last registration of a service is the one that is used.</summary>
    private static void Plant(IHostApplicationBuilder builder, Build build) =>
        builder.Services.AddSingleton(build.Coordinator).AddSingleton(build.Source).AddSingleton(build.Destination);
}
