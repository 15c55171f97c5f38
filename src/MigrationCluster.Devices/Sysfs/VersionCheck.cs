using MigrationCluster.Protocol.Compatibility;

namespace MigrationCluster.Devices.Sysfs;

/// <summary>What a destination's version attribute answered to the source's string. Only <see cref="Compatible"/> is a
/// yes.</summary>
public abstract record VersionCheck
{
    private protected VersionCheck() { }

    /// <summary>What the verdict is made of.</summary>
    public VersionAnswer Answer => this switch
    {
        Compatible => VersionAnswer.Accepted,
        Refused or PartlyTaken => VersionAnswer.Refused,
        NotMigratable => VersionAnswer.NotMigratable,
        _ => VersionAnswer.NotAsked,
    };

    /// <summary>The driver took the whole string.</summary>
    public sealed record Compatible : VersionCheck;

    /// <summary>The driver refused this string; it has a version of its own.</summary>
    /// <param name="Errno">the errno's symbol, e.g. EINVAL.</param>
    public sealed record Refused(string Errno, string Why) : VersionCheck;

    /// <summary>The driver took a part of the string, which the scheme does not know: no yes.</summary>
    public sealed record PartlyTaken(int Written, int Length) : VersionCheck;

    /// <summary>The attribute is missing, or answers an errno to everything: this device does not migrate at all.</summary>
    /// <param name="Errno">the errno's symbol; ENOENT: there is no attribute.</param>
    public sealed record NotMigratable(string Errno, string Why) : VersionCheck;

    /// <summary>The driver could not be asked.</summary>
    public sealed record Unknown(string Why) : VersionCheck;
}
