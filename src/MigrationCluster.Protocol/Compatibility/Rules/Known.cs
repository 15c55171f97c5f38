namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// What to make of a fact that one side does not know. A template's device confirms it at save_setup, and what neither side says
/// is no difference; but of two devices that exist, one that cannot say what the other says leaves a doubt.
/// </summary>
internal static class Known
{
    /// <summary>Whether both sides know it, so that it can be compared.</summary>
    public static bool OnBoth(Candidate candidate, bool source, bool own, string what, ref Findings findings)
    {
        if (source && own) return true;
        if (source != own && candidate is { Source.Kind: DescriptorKind.Device, Destination.Kind: DescriptorKind.Device })
            findings.Doubt($"device.{what}-unknown", source ? "known" : "not known", own ? "known" : "not known",
                $"collect the {what} of both devices from an open device",
                source ? CompatibilitySide.Destination : CompatibilitySide.Source);
        return false;
    }
}
