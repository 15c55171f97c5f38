namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// A version of a device model: only another name for parameter values, expanded when a device is instantiated. From then on the
/// values are all that counts. A version sets nothing for what is off in it, so that an implementation that never
/// heard of a parameter can instantiate the same device.
/// </summary>
public sealed record ModelVersion(string Name, IReadOnlyDictionary<string, string> Values)
{
    /// <summary>The parameters that a device is instantiated with; explicit ones win over those of the version.</summary>
    /// <param name="version">null: none, the explicit parameters are all.</param>
    /// <returns>null: there is no such version.</returns>
    public static IReadOnlyDictionary<string, string>? Expand(
        IReadOnlyList<ModelVersion> versions, string? version, IReadOnlyDictionary<string, string> explicitly)
    {
        if (version is null) return explicitly;
        if (versions.FirstOrDefault(known => known.Name == version) is not { } found) return null;
        var expanded = new Dictionary<string, string>(found.Values);
        foreach (var (name, value) in explicitly) expanded[name] = value;
        return expanded;
    }
}
