namespace MigrationCluster.Protocol.Compatibility;

/// <summary>A source device, a destination that might take it, and what the destination said of the source's version string.</summary>
public sealed record Candidate(DeviceDescriptor Source, DeviceDescriptor Destination, VersionAnswer Answer = VersionAnswer.NotAsked);

/// <summary>What the destination's own device answered to the source's opaque version string.</summary>
public enum VersionAnswer
{
    NotAsked = 0,
    Accepted = 1,

    /// <summary>An errno, or a short write.</summary>
    Refused = 2,

    /// <summary>No attribute, or always an errno: not migratable.</summary>
    NotMigratable = 3,
}

/// <summary>
/// Vendor logic for one kind of device. Handlers stand in a chain: the first that does not pass on decides. A vendor adds one by one class
/// and one line in <see cref="HandlerChain.Default"/>.
/// </summary>
public interface ICompatibilityHandler
{
    /// <summary>Shown in explanations, e.g. mdev.</summary>
    string Name { get; }

    /// <returns>null: not my device, pass on. Never throws, whatever the descriptors hold.</returns>
    Verdict? Judge(Candidate candidate);
}
