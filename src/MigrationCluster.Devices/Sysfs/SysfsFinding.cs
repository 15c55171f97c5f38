namespace MigrationCluster.Devices.Sysfs;

/// <summary>Something in the tree that could not be read or means nothing; the rest was read without it.</summary>
public sealed record SysfsFinding(string Path, string Problem)
{
    public override string ToString() => $"{Path}: {Problem}";
}
