namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Device model names are unique identifiers: hardware interface and state representation together. They are equal. Nobody connects to one,
/// so a scheme in front, which some drivers write, says nothing: https://qemu.org/devices/e1000e is qemu.org/devices/e1000e.
/// </summary>
public static class ModelRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var (source, own) = (candidate.Source.Model, candidate.Destination.Model);
        if (source == own || (source is not null && own is not null && WithoutScheme(source).SequenceEqual(WithoutScheme(own)))) return;
        if (source is null || own is null)
            findings.Doubt("device.model-unknown", source ?? "no model name", own ?? "no model name",
                "use devices that both name their model",
                source is null ? CompatibilitySide.Source : CompatibilitySide.Destination);
        else
            findings.Refuse("device.model-mismatch", source, own, "use a device of the same model at the destination");
    }

    private static ReadOnlySpan<char> WithoutScheme(string model)
    {
        int end = model.IndexOf("://", StringComparison.Ordinal);
        return end < 0 ? model : model.AsSpan(end + 3);
    }
}
