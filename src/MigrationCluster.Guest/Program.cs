using System.CommandLine;
using MigrationCluster.Guest.Processes;

var root = new RootCommand("The reference guest process: guest RAM, vCPUs and device servers, behind vfio-user endpoints.")
{
    RunCommand.Create(),
    DeviceCommand.Create(),
    ForeignCommand.Create(),
};
var parsed = root.Parse(args);
int code = await parsed.InvokeAsync();
return parsed.Errors.Count > 0 ? ExitCode.Usage : code;
