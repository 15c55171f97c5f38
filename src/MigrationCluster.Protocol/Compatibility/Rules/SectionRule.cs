namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// State sections that the destination does not know:
///
/// <code>
///                 always written   written in a rare case, known only at run time
///   required      Incompatible     Unknown: whether it comes is not known before the pause
///   optional      dropped          dropped if it comes; both are reported
/// </code>
/// </summary>
public static class SectionRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var read = new NameCursor<string>(candidate.Destination.SectionsRead, static name => name);
        foreach (var section in Items.Of(candidate.Source.SectionsWritten))
        {
            if (read.Find(section.Name) is not null) continue;
            if (!section.Required)
                findings.Drop(section.Name);
            else if (section.Rare)
                findings.Doubt("device.section-possible", $"section {section.Name}, written in a rare case", "not known",
                    "upgrade the destination to a device that reads this section, or accept by name that the move fails in that rare case");
            else
                findings.Refuse("device.section-required", $"section {section.Name}", "not known",
                    "upgrade the destination to a device that reads this section");
        }
    }
}
