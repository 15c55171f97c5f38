using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Migration;

namespace MigrationCluster.Protocol.Destination;

/// <summary>What the destination's real devices make of the source's setup records, all of them together.</summary>
public static class SetupJudgement
{
    /// <param name="records">of the source's devices.</param>
    /// <param name="own">names of the destination's devices.</param>
    /// <param name="verdicts">by device name, of those that both sides have.</param>
    public static DestinationCommand.SetupAnswered Of(
        IReadOnlyList<SetupRecord> records, IReadOnlyCollection<string> own, IReadOnlyDictionary<string, Verdict> verdicts,
        DateTimeOffset at)
    {
        var (refusals, unknown, dropped) = (new List<Refusal>(), new List<Refusal>(), new List<DroppedSections>());
        foreach (var record in records.Where(record => !own.Contains(record.Device)))
            refusals.Add(new Refusal(
                "device.missing", $"{record.Device}: the source has it ({record.Descriptor.Model ?? "no model"}), the destination does not",
                "use the same guest spec on both hosts, and allow a template for the device on the destination",
                record.Device, record.Descriptor.Model ?? "a device", "none", CompatibilitySide.Destination));
        foreach (string extra in own.Except(records.Select(record => record.Device)))
            refusals.Add(new Refusal(
                "device.extra", $"{extra}: the destination has it, the source does not", "use the same guest spec on both hosts",
                extra, "none", "a device", CompatibilitySide.Destination));
        foreach (var (device, verdict) in verdicts.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            switch (verdict)
            {
                case Incompatible incompatible:
                    refusals.AddRange(incompatible.Reasons.Select(reason => Refusal.Of(device, reason)));
                    break;
                case Unknown unsure:
                    unknown.AddRange(unsure.Why.Select(reason => Refusal.Of(device, reason)));
                    break;
                case Compatible { Dropped.Count: > 0 } compatible:
                    dropped.Add(new DroppedSections(device, compatible.Dropped));
                    break;
            }

        return new DestinationCommand.SetupAnswered(refusals, at) { Unknown = unknown, Dropped = dropped };
    }
}
