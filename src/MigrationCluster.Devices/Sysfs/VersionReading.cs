namespace MigrationCluster.Devices.Sysfs;

/// <summary>What reading a version attribute came to.</summary>
public abstract record VersionReading
{
    private protected VersionReading() { }

    /// <param name="Text">the vendor's own, without the newline that ends it; nobody else reads meaning into it.</param>
    public sealed record Known(string Text) : VersionReading;

    /// <summary>The attribute is missing or its driver answers an errno: by the scheme, this device does not migrate.</summary>
    /// <param name="Errno">the errno's symbol; ENOENT: there is no attribute.</param>
    public sealed record NotMigratable(string Errno, string Why) : VersionReading;

    /// <summary>The driver was never asked, or what it said is no version: nothing is known.</summary>
    public sealed record Unknown(string Why) : VersionReading;
}
