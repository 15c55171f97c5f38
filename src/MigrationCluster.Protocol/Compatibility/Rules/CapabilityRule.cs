using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Both devices migrate at all, and the destination can do what the source can: it goes through the same states.</summary>
public static class CapabilityRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var (source, own) = (candidate.Source.Capabilities, candidate.Destination.Capabilities);
        if (source is { } s && !s.HasFlag(MigrationCapabilities.StopCopy))
            findings.Refuse("device.not-migratable", nameof(MigrationCapabilities.StopCopy), $"{s}",
                "use a driver with migration support for the source device, or unplug it before the move", CompatibilitySide.Source);
        if (own is { } o && !o.HasFlag(MigrationCapabilities.StopCopy))
            findings.Refuse("device.not-migratable", nameof(MigrationCapabilities.StopCopy), $"{o}",
                "use a driver with migration support for the destination device");
        if (!Known.OnBoth(candidate, source is not null, own is not null, "capabilities", ref findings)) return;
        var missing = source!.Value & ~own!.Value & ~MigrationCapabilities.StopCopy;
        if (missing != MigrationCapabilities.None)
            findings.Refuse("device.capability-missing", $"{source}", $"{own}", $"use a destination device that can do {missing}");
    }
}
