using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>
/// Compares what any two descriptors say, scheme by scheme: every scheme that is spoken must say yes, and one must. Drivers' names and
/// versions are shown to people and never compared.
/// </summary>
public sealed class GenericHandler : ISlicedHandler
{
    public string Name => "generic";

    public Verdict? Judge(Candidate candidate)
    {
        var findings = new Findings();
        ModelRule.Check(candidate, ref findings);
        IdentityRule.Check(candidate, ref findings);
        ShapeRule.Check(candidate, ref findings);
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
