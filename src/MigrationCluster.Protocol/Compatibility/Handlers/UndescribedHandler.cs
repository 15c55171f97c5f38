namespace MigrationCluster.Protocol.Compatibility.Handlers;

/// <summary>
/// A host that could make a class and says nothing of what it would be: a template whose device somebody else's command serves, or a host
/// whose release does not tell. That is no reason to refuse and none to agree; the real device is asked at save_setup.
/// </summary>
public sealed class UndescribedHandler : ICompatibilityHandler
{
    public string Name => "undescribed";

    public Verdict? Judge(Candidate candidate) => IsUndescribed(candidate.Destination)
        ? new Unknown(
        [
            new CompatibilityReason(
                "device.undescribed", candidate.Source.Model ?? "a device", "nothing told before the device exists", CompatibilitySide.Destination,
                "use a host whose template names a model, and whose release tells what it would make of it"),
        ])
        : null;

    private static bool IsUndescribed(DeviceDescriptor offer) =>
        offer is
        {
            Kind: DescriptorKind.Template, Model: null, VersionString: null, Capabilities: null, Identity: null, Driver: null, Lists: null,
            InterfaceVersion: null, Regions.Count: 0, Interrupts.Count: 0, Parameters.Count: 0, StreamFormatsRead.Count: 0,
            SectionsRead.Count: 0,
        };
}
