using System.Globalization;
using MigrationCluster.Protocol.Guests;

namespace MigrationCluster.Protocol.Compatibility;

/// <summary>save_setup: puts a source device's record to a destination device.</summary>
public static class SetupCheck
{
    /// <param name="answer">what the real destination device said of the source's version string.</param>
    public static Verdict Judge(SetupRecord source, SetupRecord own, VersionAnswer answer, HandlerChain handlers)
    {
        var place = new List<CompatibilityReason>();
        if (source.Device != own.Device)
            place.Add(new CompatibilityReason("device.name-mismatch", source.Device, own.Device, CompatibilitySide.Destination,
                "put the record to the device of the same name"));
        if (source.Slot != own.Slot)
            place.Add(new CompatibilityReason("device.slot-mismatch", Slot(source), Slot(own), CompatibilitySide.Destination,
                "list the devices in the same order on both hosts: a guest finds a device by its slot"));
        return (handlers.Judge(new Candidate(source.Descriptor, own.Descriptor, answer)).Verdict, place.Count) switch
        {
            (var verdict, 0) => verdict,
            (Incompatible verdict, _) => new Incompatible([.. place, .. verdict.Reasons]),
            (Unknown verdict, _) => new Incompatible([.. place, .. verdict.Why]),
            _ => new Incompatible(place),
        };
    }

    private static string Slot(SetupRecord record) => string.Create(CultureInfo.InvariantCulture, $"slot {record.Slot}");
}
