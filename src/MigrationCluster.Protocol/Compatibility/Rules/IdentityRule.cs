using System.Globalization;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>PCI ids agree: the guest's driver has bound to them.</summary>
public static class IdentityRule
{
    public static void Check(Candidate candidate, ref Findings findings)
    {
        var (source, own) = (candidate.Source.Identity, candidate.Destination.Identity);
        if (!Known.OnBoth(candidate, source is not null, own is not null, "device.identity-unknown", ref findings) || source == own) return;
        findings.Refuse("device.identity-mismatch", Shown(source!), Shown(own!), "use a device with the same PCI ids");
    }

    private static string Shown(DeviceIdentity identity) => string.Create(CultureInfo.InvariantCulture,
        $"{identity.Vendor:x4}:{identity.Device:x4} subsystem {identity.SubsystemVendor:x4}:{identity.Subsystem:x4}");
}
