using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Handlers;

/// <summary>
/// Our emulated models. Two things are known of them that a stranger's descriptor leaves open: their interrupts follow from their
/// parameters, so a template that is created with the source's parameters has the source's interrupts; and each declares its
/// stream format, so one that does not is no device of ours.
/// </summary>
public sealed class EmulatedModelHandler(params IReadOnlyList<string> models) : ISlicedHandler
{
    private readonly HashSet<string> _models = [.. models];

    public string Name => "emulated";

    public Verdict? Judge(Candidate candidate)
    {
        var (source, own) = (candidate.Source, candidate.Destination);
        if (source.Model is null || !_models.Contains(source.Model) || own.Model != source.Model) return null;
        var findings = new Findings();
        if (source.StreamFormatsWritten.Count == 0)
            findings.Refuse("device.stream-format-undeclared", "a stream format that the device writes", "none",
                "use a device of ours, of a version that says what it writes", CompatibilitySide.Source);
        IdentityRule.Check(candidate, ref findings);
        ShapeRule.Check(candidate, ref findings, interruptsFollowParameters: true);
        ConfigCapabilityRule.Check(candidate, ref findings);
        CapabilityRule.Check(candidate, ref findings);
        ParameterRule.Check(candidate, ref findings);
        ListRule.Check(candidate, ref findings);
        InterfaceVersionRule.Check(candidate, ref findings);
        VersionStringRule.Check(candidate, ref findings);
        StreamFormatRule.Check(candidate, ref findings);
        SectionRule.Check(candidate, ref findings);
        return findings.ToVerdict();
    }
}
