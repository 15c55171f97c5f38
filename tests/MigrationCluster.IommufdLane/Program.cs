using MigrationCluster.Devices.VfioKernel;
using MigrationCluster.IommufdLane;

// What only a kernel with iommufd and its mock of an IOMMU can show; runs in a VM of the lane (docs/mtty-lane.md). A line for each thing seen.
try
{
    var seen = args switch
    {
        ["hardware"] => SpaceChecks.Hardware().ToAsyncEnumerable(),
        ["patterns"] => SpaceChecks.Patterns().ToAsyncEnumerable(),
        ["windows"] => SpaceChecks.Windows().ToAsyncEnumerable(),
        ["restart"] => SpaceChecks.Restart().ToAsyncEnumerable(),
        ["left", var id] => DeviceChecks.LeftBehind(id),
        ["device", var id] => DeviceChecks.FallBack(id),
        _ => throw new CheckFailedException("usage: MigrationCluster.IommufdLane hardware|patterns|windows|restart|left UUID|device UUID"),
    };
    await foreach (string line in seen) Console.WriteLine(line);
    return 0;
}
catch (Exception exception) when (exception is CheckFailedException or KernelRefusedException)
{
    Console.Error.WriteLine(exception.Message);
    return 1;
}
