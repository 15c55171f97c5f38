namespace MigrationCluster.Protocol.Compatibility.Fleet;

/// <summary>
/// A part of a descriptor that rules judge by itself. The parameters of one name are such a part too (<see cref="ParameterColumn"/>).
/// What no rule reads is in none: drivers are shown to people, a bugfix number ranks.
/// </summary>
/// <param name="Write">the content that matters.</param>
/// <param name="Graft">the first descriptor with this part of the second.</param>
/// <param name="Has">whether there is anything to judge; what it is worth that one side lacks a scheme, <see cref="Schemes"/> says.</param>
internal sealed record DescriptorSlice(
    Action<ContentKeys, DeviceDescriptor> Write,
    Func<DeviceDescriptor, DeviceDescriptor, DeviceDescriptor> Graft,
    Func<DeviceDescriptor, bool>? Has = null)
{
    private static readonly CompatibilityLists SomeLists = SelfTakingLists();

    /// <summary>
    /// Which schemes it speaks: whether a version string decides depends on the others being there, not on what they say. The only slice
    /// that is judged with what the destination answered.
    /// </summary>
    internal static DescriptorSlice Schemes { get; } = new(
        static (keys, of) =>
        {
            keys.Write(of.Model);
            keys.Write(of.VersionString);
            keys.Write((of.Lists is null ? 0UL : 1) | (of.InterfaceVersion is null ? 0UL : 2));
        },
        static (into, from) => into with
        {
            Model = from.Model,
            VersionString = from.VersionString,
            Lists = from.Lists is null ? null : SomeLists,
            InterfaceVersion = from.InterfaceVersion is null ? null : new InterfaceVersion(1, 0, 0),
        });

    /// <summary>Apart, because of a template its verdict depends on the parameters.</summary>
    internal static DescriptorSlice Shape { get; } = new(
        DescriptorContent.WriteShape,
        static (into, from) => into with
        {
            Identity = from.Identity,
            Regions = from.Regions,
            Interrupts = from.Interrupts,
            ConfigCapabilities = from.ConfigCapabilities,
        });

    internal static IReadOnlyList<DescriptorSlice> Others { get; } =
    [
        new(DescriptorContent.WriteLists, static (into, from) => into with { Lists = from.Lists }, static of => of.Lists is not null),
        new(static (keys, of) =>
            {
                keys.Write(of.InterfaceVersion is null ? 0UL : 1);
                keys.Write((uint)of.InterfaceVersion.GetValueOrDefault().Major);
                keys.Write((uint)of.InterfaceVersion.GetValueOrDefault().Minor);
            },
            static (into, from) => into with { InterfaceVersion = from.InterfaceVersion },
            static of => of.InterfaceVersion is not null),
        new(DescriptorContent.WriteFormats, static (into, from) => into with
        {
            StreamFormatsWritten = from.StreamFormatsWritten,
            StreamFormatsRead = from.StreamFormatsRead,
        }),
        new(DescriptorContent.WriteSections, static (into, from) => into with
        {
            SectionsWritten = from.SectionsWritten,
            SectionsRead = from.SectionsRead,
        }),
        new(DescriptorContent.WriteCapabilities, static (into, from) => into with { Capabilities = from.Capabilities }),
    ];

    private static CompatibilityLists SelfTakingLists()
    {
        IReadOnlyList<IReadOnlyDictionary<string, string>> sets = [new Dictionary<string, string> { ["any"] = "any" }];
        return new CompatibilityLists(sets, sets);
    }
}
