using System.Text.Json.Serialization;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>Whether a destination device takes the state of a source device. Directional.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "verdict")]
[JsonDerivedType(typeof(Compatible), "compatible")]
[JsonDerivedType(typeof(Incompatible), "incompatible")]
[JsonDerivedType(typeof(Unknown), "unknown")]
public abstract record Verdict
{
    private protected Verdict()
    {
    }
}

/// <param name="Dropped">optional state sections the destination does not know and drops.</param>
public sealed record Compatible(CompatibilityRank Rank, IReadOnlyList<string> Dropped) : Verdict;

/// <param name="Reasons">every reason, never only the first; at least one.</param>
public sealed record Incompatible(IReadOnlyList<CompatibilityReason> Reasons) : Verdict;

/// <summary>Nothing says no, and not enough says yes. Refuses, unless an operator takes it upon himself by name.</summary>
/// <param name="Why">at least one.</param>
public sealed record Unknown(IReadOnlyList<CompatibilityReason> Why) : Verdict;

/// <summary>One reason of a verdict.</summary>
/// <param name="Code">stable, e.g. device.parameter-mismatch.</param>
/// <param name="Expected">what the source has and the destination would have to take.</param>
/// <param name="Actual">what the destination has.</param>
/// <param name="Side">where the remedy has to be applied.</param>
public sealed record CompatibilityReason(string Code, string Expected, string Actual, CompatibilitySide Side, string Remedy);

public enum CompatibilitySide
{
    Source = 1,
    Destination = 2,
}

/// <summary>Orders destinations that are all compatible.</summary>
/// <param name="DroppedSections">fewer is better.</param>
/// <param name="MinorSteps">minor versions ahead of the source; fewer is better (the way back is likelier).</param>
/// <param name="Bugfix">among otherwise equal ones, the higher.</param>
public readonly record struct CompatibilityRank(int DroppedSections, int MinorSteps, int Bugfix)
{
    /// <summary>What to sort by: the best has the greatest.</summary>
    [JsonIgnore]
    public (int, int, int) Order => (-DroppedSections, -MinorSteps, Bugfix);
}
