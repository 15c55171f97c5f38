using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Tests.Compatibility;

/// <summary>Descriptors to start from, and verdicts as a test reads them.</summary>
internal static class Descriptors
{
    public static DeviceDescriptor Bare { get; } = DeviceDescriptor.Empty(DescriptorKind.Device);

    /// <summary>A network card of some vendor that speaks the scheme of models and parameters.</summary>
    public static DeviceDescriptor Nic(params IReadOnlyList<ParameterDescriptor> parameters) => Bare with
    {
        Identity = new DeviceIdentity(0x8086, 0x10d3, 0x8086, 0x0001),
        Regions = [new RegionDescriptor(0, 0x20000, true, true, true), new RegionDescriptor(7, 256, true, true, false)],
        Interrupts = [new InterruptDescriptor(0, 1), new InterruptDescriptor(2, 5)],
        ConfigCapabilities = [0x01, 0x05, 0x11],
        Driver = new DriverDescriptor("e1000e", "1.0"),
        Model = "qemu.org/devices/e1000e",
        Parameters = parameters,
        StreamFormatsWritten = ["e1000e/1"],
        StreamFormatsRead = ["e1000e/1"],
        SectionsWritten = [new SectionDescriptor("registers", Required: true)],
        SectionsRead = ["registers"],
        Capabilities = MigrationCapabilities.StopCopy | MigrationCapabilities.P2P,
    };

    public static DeviceDescriptor AsTemplate(this DeviceDescriptor descriptor) => descriptor with { Kind = DescriptorKind.Template };

    public static DeviceDescriptor With(this DeviceDescriptor descriptor, params IReadOnlyList<ParameterDescriptor> parameters) =>
        descriptor with { Parameters = parameters };

    public static ParameterDescriptor Number(
        string name, string value, ParameterComparator comparator = ParameterComparator.Equal, SupportedValues? supported = null) =>
        new(name, ParameterType.Number, comparator, value, "0", supported);

    public static Verdict Judge(DeviceDescriptor source, DeviceDescriptor own, VersionAnswer answer = VersionAnswer.NotAsked) =>
        HandlerChain.Default.Judge(new Candidate(source, own, answer)).Verdict;

    public static Compatible Accepts(DeviceDescriptor source, DeviceDescriptor own, VersionAnswer answer = VersionAnswer.NotAsked) =>
        Assert.IsType<Compatible>(Judge(source, own, answer));

    /// <summary>Incompatible for exactly these reasons, in any order.</summary>
    public static IReadOnlyList<CompatibilityReason> Refuses(
        DeviceDescriptor source, DeviceDescriptor own, VersionAnswer answer, params IReadOnlyList<string> codes)
    {
        var reasons = Assert.IsType<Incompatible>(Judge(source, own, answer)).Reasons;
        Assert.Equal(codes.Order(), reasons.Select(reason => reason.Code).Order());
        return reasons;
    }

    public static IReadOnlyList<CompatibilityReason> Refuses(
        DeviceDescriptor source, DeviceDescriptor own, params IReadOnlyList<string> codes) =>
        Refuses(source, own, VersionAnswer.NotAsked, codes);

    /// <summary>Unknown for exactly these reasons, in any order.</summary>
    public static IReadOnlyList<CompatibilityReason> Doubts(
        DeviceDescriptor source, DeviceDescriptor own, params IReadOnlyList<string> codes)
    {
        var reasons = Assert.IsType<Unknown>(Judge(source, own)).Why;
        Assert.Equal(codes.Order(), reasons.Select(reason => reason.Code).Order());
        return reasons;
    }
}
