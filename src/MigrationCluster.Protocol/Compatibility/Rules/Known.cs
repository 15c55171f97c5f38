namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// What to make of a fact that one side does not know. A template may leave it open, its device confirms it at save_setup, and what neither
/// side says is no difference; but a device that exists and cannot say what the other side says leaves a doubt.
/// </summary>
internal static class Known
{
    /// <summary>Whether both sides know it, so that it can be compared.</summary>
    public static bool OnBoth(Candidate candidate, bool source, bool own, string code, ref Findings findings)
    {
        if (source && own) return true;
        var silent = source ? candidate.Destination : candidate.Source;
        if (source != own && silent.Kind == DescriptorKind.Device)
            findings.Doubt(code, source ? "known" : "not known", own ? "known" : "not known",
                "collect it from the device itself, opened",
                source ? CompatibilitySide.Destination : CompatibilitySide.Source);
        return false;
    }
}
