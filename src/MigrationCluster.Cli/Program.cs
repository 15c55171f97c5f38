using MigrationCluster.Cli;
using MigrationCluster.Cli.Commands;

using var interruption = Interruption.OfThisProcess();
return await Migctl.RunAsync(args, Terminal.OfThisProcess(), interruption);
