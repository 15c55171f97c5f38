using System.CommandLine;
using MigrationCluster.Chaos.Cluster;
using MigrationCluster.Chaos.Cluster.Matrix;
using MigrationCluster.Chaos.Exploration;
using MigrationCluster.Chaos.Simulation;
using MigrationCluster.Chaos.Traces;

var parsed = new RootCommand("mc-chaos breaks MigrationCluster on purpose and judges whether its invariants held.")
{
    ExploreCommand.Create(),
    SimulateCommand.Create(),
    TracesCommand.Create(),
    RecordCommand.Create(),
    ChaosCommand.Create(),
    ChaosCommand.CreateInside(),
    ShrinkCommand.Create(),
    MatrixCommand.Create(),
    PlantedNodeCommand.Create(),
}.Parse(args);
// A chaos run takes its signals itself, and however long it needs to take everything away.
bool own = parsed.CommandResult.Command.Name is "chaos" or "shrink" or "matrix" or PlantedNodeCommand.Name || parsed.CommandResult.Command.Name == Supervisor.Inside;
int code = own ? await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null }) : parsed.Invoke();
return parsed.Errors.Count > 0 ? 2 : code;
