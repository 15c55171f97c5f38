namespace MigrationCluster.Devices.VfioKernel;

/// <param name="Sysfs">root of the tree that says where a device is.</param>
/// <param name="Dev">root of the device files.</param>
/// <param name="FileWait">how long a device file may take to appear: a device that was just made has none for a moment.</param>
public sealed record VfioKernelOptions(string Sysfs = "/sys", string Dev = "/dev", TimeSpan FileWait = default)
{
    public static VfioKernelOptions Default { get; } = new(FileWait: TimeSpan.FromSeconds(5));

    internal IKernelCalls Calls { get; init; } = LinuxCalls.Instance;
}
