namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// The opaque version string. Only the destination's device reads it, so here nothing but its answer counts, never the text. Without an
/// answer the string decides only where no other scheme does: then nobody has said yes. A device whose scheme it is, and that
/// has none, does not migrate.
/// </summary>
public static class VersionStringRule
{
    /// <param name="alone">whether the string is the scheme of this kind of device, whatever else it declares.</param>
    public static void Check(Candidate candidate, ref Findings findings, bool alone = false)
    {
        var (source, own) = (candidate.Source.VersionString, candidate.Destination.VersionString);
        switch (candidate.Answer)
        {
            case VersionAnswer.Refused:
                findings.Refuse("device.version-refused", source ?? "no version string", "refused by the destination device",
                    "use a destination whose driver takes this version: ask the other hosts, or upgrade its driver");
                return;
            case VersionAnswer.NotMigratable:
                findings.Refuse("device.not-migratable", "a version attribute", "none, or it answers every version with an error",
                    "use a driver with migration support for the destination device");
                return;
            case VersionAnswer.Accepted when source is not null:
                return;
        }
        if (!alone && Schemes.OtherOnBoth(candidate)) return;
        switch (source, own)
        {
            case (null, null) when !Schemes.OtherOnEither(candidate):
                findings.Doubt("device.no-scheme", "a version string, lists, a model or an interface version", "none",
                    "register a handler that knows this device, or accept the risk by name");
                return;
            case (not null, null):
                findings.Refuse("device.not-migratable", "a version string", "none",
                    "use a driver with migration support for the destination device");
                return;
            case (null, not null):
                findings.Refuse("device.not-migratable", "a version string", "none",
                    "use a driver with migration support for the source device", CompatibilitySide.Source);
                return;
            case (not null, not null):
                findings.Doubt("device.version-not-asked", source, "not asked",
                    "let the destination device answer: write the source's version to its version attribute");
                return;
        }
    }
}
