using System.Globalization;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>The capabilities of config space agree, in the order in which the guest's driver finds them.</summary>
public static class ConfigCapabilityRule
{
    private const int ConfigSpace = 7;

    public static void Check(Candidate candidate, ref Findings findings)
    {
        var (source, own) = (candidate.Source.ConfigCapabilities, candidate.Destination.ConfigCapabilities);
        if (!Known.OnBoth(candidate, IsKnown(candidate.Source), IsKnown(candidate.Destination), "device.config-capabilities-unknown", ref findings)
            || Same(source, own)) return;
        findings.Refuse("device.config-capabilities-mismatch", Shown(source), Shown(own),
            "use a device with the same capabilities in its config space");
    }

    /// <summary>A device may have none; then its config space and its ids have been read all the same.</summary>
    private static bool IsKnown(DeviceDescriptor descriptor)
    {
        if (descriptor.ConfigCapabilities.Count > 0) return true;
        if (descriptor.Identity is null) return false;
        foreach (var region in Items.Of(descriptor.Regions))
            if (region.Index == ConfigSpace) return true;
        return false;
    }

    private static bool Same(IReadOnlyList<int> source, IReadOnlyList<int> own) =>
        Items.Of(source).SequenceEqual(Items.Of(own));

    private static string Shown(IReadOnlyList<int> ids) =>
        ids.Count == 0 ? "none" : string.Join(' ', ids.Select(id => id.ToString("x2", CultureInfo.InvariantCulture)));
}
