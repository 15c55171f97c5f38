using MigrationCluster.Protocol.Compatibility.Fleet;
using MigrationCluster.Protocol.Compatibility.Rules;

namespace MigrationCluster.Protocol.Compatibility.Handlers;

/// <summary>
/// The GPIO sample server of libvfio-user (samples/gpio-pci-idio-16.c): a foreign device that speaks none of the schemes and is known by
/// its PCI ids. Its state has been the same four bytes, a pin counter, ever since, so equal shape is enough: a read and
/// write region of 256 bytes as BAR 2, one INTx. A server with these ids and another shape is not the one known here.
/// A host's template of a foreign command says nothing before it runs; its device confirms at save_setup that it is this one.
/// </summary>
public sealed class GpioIdio16Handler : ISlicedHandler
{
    private const ushort Vendor = 0x494f;
    private const ushort Device = 0x0dc8;
    private const int Bar2 = 2;
    private const ulong Bar2Bytes = 0x100;
    private const int Intx = 0;

    public string Name => "gpio-pci-idio-16";

    public Verdict? Judge(Candidate candidate)
    {
        if (!IsKnown(candidate.Source)) return null;
        var findings = new Findings();
        ModelRule.Check(candidate, ref findings);
        IdentityRule.Check(candidate, ref findings);
        ShapeRule.Check(candidate, ref findings);
        ConfigCapabilityRule.Check(candidate, ref findings);
        CapabilityRule.Check(candidate, ref findings);
        ParameterRule.Check(candidate, ref findings);
        ListRule.Check(candidate, ref findings);
        InterfaceVersionRule.Check(candidate, ref findings);
        StreamFormatRule.Check(candidate, ref findings);
        SectionRule.Check(candidate, ref findings);
        // Not asked is no doubt here: the sample has no version string.
        if (candidate.Answer != VersionAnswer.NotAsked) VersionStringRule.Check(candidate, ref findings);
        return findings.ToVerdict();
    }

    private static bool IsKnown(DeviceDescriptor descriptor) =>
        descriptor is { Identity: { Vendor: Vendor, Device: Device }, Model: null, Lists: null, InterfaceVersion: null, VersionString: null }
        && descriptor.Regions.Any(region => region is { Index: Bar2, SizeBytes: Bar2Bytes, Readable: true, Writable: true })
        && descriptor.Interrupts.Contains(new InterruptDescriptor(Intx, 1));
}
