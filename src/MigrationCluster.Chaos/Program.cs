using System.CommandLine;
using MigrationCluster.Chaos.Exploration;
using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Chaos.Traces;

var parsed = new RootCommand("mc-chaos breaks MigrationCluster on purpose and judges whether its invariants held.")
{
    ExploreCommand.Create(),
    SimulateCommand.Create(),
    TracesCommand.Create(),
}.Parse(args);
int code = parsed.Invoke();
return parsed.Errors.Count > 0 ? 2 : code;
