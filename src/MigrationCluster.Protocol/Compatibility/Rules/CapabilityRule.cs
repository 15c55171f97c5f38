using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>Both devices migrate at all, and the destination can do what the source can: it goes through the same states.</summary>
public static class CapabilityRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var (source, own) = (candidate.Source.Capabilities, candidate.Destination.Capabilities);
        if (!Migrates(source))
            findings.Refuse("device.not-migratable", nameof(MigrationCapabilities.StopCopy), $"{source}",
                "use a driver with migration support for the source device, or unplug it before the move", CompatibilitySide.Source);
        if (!Migrates(own))
            findings.Refuse("device.not-migratable", nameof(MigrationCapabilities.StopCopy), $"{own}",
                "use a driver with migration support for the destination device");
        if (!Migrates(source) || !Migrates(own) || !Known.OnBoth(candidate, source is not null, own is not null, "device.capabilities-unknown", ref findings))
            return;
        var missing = source!.Value & ~own!.Value;
        if (missing != MigrationCapabilities.None)
            findings.Refuse("device.capability-missing", $"{source}", $"{own}", $"use a destination device that can do {missing}");
    }

    /// <summary>As far as is known.</summary>
    private static bool Migrates(MigrationCapabilities? capabilities) => capabilities?.HasFlag(MigrationCapabilities.StopCopy) ?? true;
}
