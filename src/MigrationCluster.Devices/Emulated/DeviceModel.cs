using System.Globalization;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>What an emulated model is before any device of it exists.</summary>
/// <param name="Number">in the identity register and in the PCI device id.</param>
/// <param name="Vectors">interrupt vectors of a device with these parameters.</param>
/// <param name="Sections">state sections, those of older drivers first.</param>
internal sealed record DeviceModel(
    string Name,
    int Number,
    ulong BarBytes,
    MigrationCapabilities Capabilities,
    IReadOnlyList<ModelParameter> Parameters,
    IReadOnlyList<ModelVersion> Versions,
    IReadOnlyList<ModelSection> Sections,
    Func<ModelParameters, int> Vectors,
    Func<ModelParameters, EmulatedDevice> Create)
{
    /// <summary>
    /// Drivers so far, each of which knows more than the one before. 1: the models as they were first. 2: a net's receive filter and
    /// link speed, statistics, and what devices lost or faulted on. Hosts are upgraded one by one, so both are at work at a time.
    /// </summary>
    public const int CurrentDriver = 2;

    /// <summary>MiB/s at which a model that declares them saves and loads its state; 0: as fast as it can.</summary>
    public const string SaveRate = "save-rate", LoadRate = "load-rate";

    /// <summary>Where a model declares it and it is not 0, its devices have no PRE_COPY.</summary>
    public const string StopCopyOnly = "stop-copy-only";

    private const string DriverName = "mc-guest";
    private const int MsixInterrupt = 2;

    /// <summary>The state stream's format, which no driver has changed: what drivers added stands in sections of their own.</summary>
    public string StreamFormat => $"{Name}/{StreamFormatVersion}";

    public const int StreamFormatVersion = 1;

    public DeviceShape Shape(ModelParameters parameters) => new(
        CanReset: true,
        [
            new RegionShape(DeviceRegisters.Bar, BarBytes, Readable: true, Writable: true, Mappable: false),
            new RegionShape(DeviceRegisters.ConfigSpace, DeviceRegisters.ConfigSpaceBytes, true, true, false),
        ],
        [new InterruptShape(MsixInterrupt, Vectors(parameters))]);

    /// <summary>What a device with these parameters is, or what could be created where they are the ones given.</summary>
    public DeviceDescriptor Describe(DescriptorKind kind, ModelParameters parameters)
    {
        var (identity, capabilities) = PciIdentity.Read(DeviceConfigSpace.PowerOn(this, Vectors(parameters)));
        return DescriptorShape.Of(kind, Shape(parameters)) with
        {
            Identity = identity,
            ConfigCapabilities = capabilities,
            Driver = new DriverDescriptor(DriverName, parameters.Driver.ToString(CultureInfo.InvariantCulture)),
            Model = Name,
            Parameters = [.. Parameters.Where(p => p.Since <= parameters.Driver).Select(p => p.Describe(parameters[p.Name]))],
            VersionString = new DeviceVersionString(this, parameters).Text,
            StreamFormatsWritten = [StreamFormat],
            StreamFormatsRead = [StreamFormat],
            SectionsWritten = [.. SectionsWritten(parameters).Select(s => new SectionDescriptor(s.Name, s.Required, s.Rare))],
            SectionsRead = [.. SectionsRead(parameters.Driver).Select(s => s.Name)],
            Capabilities = CapabilitiesOf(parameters),
        };
    }

    /// <summary>Of a device with these parameters.</summary>
    public MigrationCapabilities CapabilitiesOf(ModelParameters parameters) =>
        parameters.ValueOf(StopCopyOnly) == 0 ? Capabilities : Capabilities & ~MigrationCapabilities.PreCopy;

    public IEnumerable<ModelSection> SectionsWritten(ModelParameters parameters) =>
        SectionsRead(parameters.Driver).Where(section => section.Parameter is not { } name || parameters[name] != 0);

    public IEnumerable<ModelSection> SectionsRead(int driver) => Sections.Where(section => section.Since <= driver);
}

/// <summary>One part of a model's state stream.</summary>
/// <param name="Required">false: a destination that does not know it may drop it.</param>
/// <param name="Rare">true: written only in a case that shows at run time.</param>
/// <param name="Since">the first driver that knows it.</param>
/// <param name="Parameter">written only where this parameter is not 0; null: independent of parameters.</param>
internal sealed record ModelSection(
    ushort Id, string Name, bool Required, bool Rare = false, int Since = 1, string? Parameter = null);
