using System.CommandLine;
using MigrationCluster.Guest.Processes;

var root = new RootCommand("The reference guest process: guest RAM, vCPUs and device servers, behind vfio-user endpoints.")
{
    RunCommand.Create(),
    DeviceCommand.Create(),
    ForeignCommand.Create(),
};
var parsed = root.Parse(args);
// The library would wait for 2 s after SIGTERM, then leave sockets and device servers where they are. What ends here has limits of its own.
int code = await parsed.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null });
return parsed.Errors.Count > 0 ? ExitCode.Usage : code;
