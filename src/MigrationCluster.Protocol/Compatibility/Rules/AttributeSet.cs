namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Attributes of a device in a vendor's own words. A description agrees with a listed one when both have the same attributes and each
/// value agrees; a value with commas is a set, of which the listed one has all members ("none" is in "none, ppgtt, context").
/// </summary>
internal static class AttributeSet
{
    public static bool Agrees(IReadOnlyDictionary<string, string> self, IReadOnlyDictionary<string, string> listed)
    {
        if (self.Count != listed.Count || self.Count == 0) return false;
        foreach (var (name, value) in self)
            if (!listed.TryGetValue(name, out string? other) || !ValueAgrees(value, other)) return false;
        return true;
    }

    /// <summary>Each as an operator reads it, e.g. <c>gvt-version=v1 instead of v2</c>; none where the two agree.</summary>
    public static IReadOnlyList<string> Differences(
        IReadOnlyDictionary<string, string> self, IReadOnlyDictionary<string, string> listed) =>
    [
        .. self.Where(own => !listed.TryGetValue(own.Key, out string? other) || !ValueAgrees(own.Value, other))
            .Select(own => listed.TryGetValue(own.Key, out string? other)
                ? $"{own.Key}={other} instead of {own.Value}" : $"{own.Key}, which it lacks"),
        .. listed.Keys.Where(name => !self.ContainsKey(name)).Select(name => $"{name}, which the source lacks"),
    ];

    public static string Shown(IReadOnlyDictionary<string, string> attributes) =>
        attributes.Count == 0 ? "nothing" : string.Join(", ", attributes.Select(attribute => $"{attribute.Key}={attribute.Value}"));

    private static bool ValueAgrees(string self, string listed) =>
        self == listed || (!TextSet.IsEmpty(self) && TextSet.IsSubset(self, listed));
}
