namespace MigrationCluster.Devices.Tests.Sysfs.Fuse;

/// <summary>A test on a mounted tree: skipped, with the reason, where nothing can be mounted.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class FuseFactAttribute : FactAttribute
{
    public FuseFactAttribute() => Skip = FuseMount.Unavailable;
}
