using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Handlers;

/// <summary>
/// Mediated devices: known by a version string without a model name. The destination's errno decides, so without its answer there is no
/// yes, whatever else agrees; what the devices show of their shape is compared all the same.
/// </summary>
public sealed class MdevHandler : ISlicedHandler
{
    public string Name => "mdev";

    public Verdict? Judge(Candidate candidate)
    {
        if (!IsMediated(candidate)) return null;
        var findings = new Findings();
        VersionStringRule.Check(candidate, ref findings, alone: true);
        IdentityRule.Check(candidate, ref findings);
        ShapeRule.Check(candidate, ref findings);
        ConfigCapabilityRule.Check(candidate, ref findings);
        CapabilityRule.Check(candidate, ref findings);
        ParameterRule.Check(candidate, ref findings);
        ListRule.Check(candidate, ref findings);
        InterfaceVersionRule.Check(candidate, ref findings);
        StreamFormatRule.Check(candidate, ref findings);
        SectionRule.Check(candidate, ref findings);
        return findings.ToVerdict();
    }

    private static bool IsMediated(Candidate candidate) =>
        candidate is { Source.Model: null, Destination.Model: null }
        && (candidate.Source.VersionString ?? candidate.Destination.VersionString) is not null;
}
