namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>x.y.z: never across majors, minors only forward, bugfix numbers rank what is otherwise equal.</summary>
public static class InterfaceVersionRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        switch (candidate.Source.InterfaceVersion, candidate.Destination.InterfaceVersion)
        {
            case (null, null):
                return;
            case ({ } source, { } own) when own.Takes(source):
                findings.MinorSteps = (int)long.Min((long)own.Minor - source.Minor, int.MaxValue);
                findings.Bugfix = own.Bugfix;
                return;
            case ({ } source, { } own) when own.Major != source.Major:
                findings.Refuse("device.interface-major-mismatch", $"{source}", $"{own}",
                    "use a destination of the same major version: there is no compatibility across majors");
                return;
            case ({ } source, { } own):
                findings.Refuse("device.interface-minor-older", $"{source}", $"{own}",
                    "upgrade the destination to the source's minor version or a later one");
                return;
            case var (source, own):
                findings.Doubt("device.interface-version-unknown", source?.ToString() ?? "no version", own?.ToString() ?? "no version",
                    "use drivers that both name their migration interface's version",
                    source is null ? CompatibilitySide.Source : CompatibilitySide.Destination);
                return;
        }
    }
}
