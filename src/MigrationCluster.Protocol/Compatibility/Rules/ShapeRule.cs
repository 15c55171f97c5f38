using System.Globalization;

namespace MigrationCluster.Protocol.Compatibility.Rules;

/// <summary>
/// Regions with their flags and interrupts agree. Mappable counts: only a mapped region can be the target of a peer's DMA.
/// A template's shape is the one it has with its own parameter values; where it is created with the source's, its shape may be another.
/// </summary>
public static class ShapeRule
{
    private const string Code = "device.shape-mismatch";
    private const string Remedy = "use a device with the same regions and interrupts";

    /// <param name="interruptsFollowParameters">
    /// the handler knows that equal parameters give equal interrupts, so that a template created with the source's has the source's.
    /// </param>
    public static void Check(Candidate candidate, ref Findings findings, bool interruptsFollowParameters = false)
    {
        var (source, own) = (candidate.Source, candidate.Destination);
        if (!Known.OnBoth(candidate, IsKnown(source), IsKnown(own), "device.shape-unknown", ref findings)) return;
        bool regions = Same(source.Regions, own.Regions, static region => region.Index);
        bool interrupts = Same(source.Interrupts, own.Interrupts, static interrupt => interrupt.Index);
        if (regions && interrupts) return;
        bool recreated = own.Kind == DescriptorKind.Template && !ParameterRule.SameValues(source.Parameters, own.Parameters);
        if (!regions) Differ(Shown(source.Regions), Shown(own.Regions), recreated, ref findings);
        if (!interrupts && !(recreated && interruptsFollowParameters))
            Differ(Shown(source.Interrupts), Shown(own.Interrupts), recreated, ref findings);
    }

    /// <summary>Every device has a region, so one that lists nothing has not been looked at.</summary>
    internal static bool IsKnown(DeviceDescriptor descriptor) => descriptor.Regions.Count > 0 || descriptor.Interrupts.Count > 0;

    private static void Differ(string expected, string actual, bool recreated, ref Findings findings)
    {
        if (recreated)
            findings.Doubt("device.shape-unknown", expected, $"{actual} with its own parameters",
                "set the destination template's parameters to the source's, so that it shows the shape it would have");
        else
            findings.Refuse(Code, expected, actual, Remedy);
    }

    private static bool Same<T>(IReadOnlyList<T> source, IReadOnlyList<T> own, Func<T, int> indexOf) where T : IEquatable<T> =>
        source.Count == own.Count && (Items.Of(source).SequenceEqual(Items.Of(own))
            || source.OrderBy(indexOf).SequenceEqual(own.OrderBy(indexOf)));

    private static string Shown(IReadOnlyList<RegionDescriptor> regions) => regions.Count == 0 ? "no regions" : string.Join(", ",
        regions.OrderBy(region => region.Index).Select(region => string.Create(CultureInfo.InvariantCulture,
            $"region {region.Index} of {region.SizeBytes} bytes {Flags(region)}")));

    private static string Flags(RegionDescriptor region) =>
        $"{(region.Readable ? 'r' : '-')}{(region.Writable ? 'w' : '-')}{(region.Mappable ? 'm' : '-')}";

    private static string Shown(IReadOnlyList<InterruptDescriptor> interrupts) => interrupts.Count == 0 ? "no interrupts" : string.Join(", ",
        interrupts.OrderBy(interrupt => interrupt.Index).Select(interrupt => string.Create(CultureInfo.InvariantCulture,
            $"interrupt {interrupt.Index} with {interrupt.Count}")));
}
