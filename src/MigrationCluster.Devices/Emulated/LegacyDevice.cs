using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The <c>legacy</c> model: the DMA and P2P engines of a <c>net</c> in hardware that knows Running and Stop and nothing in between.
/// STOP_COPY only: it cannot be told to start no P2P while it still answers its registers, so it is alone or does not migrate
/// (001_bc76a1a36306e397.txt asks whether such hardware has to be supported).
/// </summary>
internal sealed class LegacyDevice(ModelParameters parameters) : DmaDevice(Description, parameters), IStateSections
{
    private static readonly ModelSection Setup = new(1, "setup", Required: true);
    private static readonly ModelSection RegisterValues = new(2, "registers", Required: true);

    public static DeviceModel Description { get; } = new(
        "legacy", Number: 4, NetRegisters.BarBytes, MigrationCapabilities.StopCopy,
        [
            new("dma-rate", "MiB/s", Default: 20, Minimum: 0, Maximum: 4096, ParameterComparator.AtLeast),
            new("p2p-rate", "writes/s", Default: 0, Minimum: 0, Maximum: 100_000, ParameterComparator.AtLeast),
        ],
        [new("1", new Dictionary<string, string>())],
        [Setup, RegisterValues],
        _ => 1,
        parameters => new LegacyDevice(parameters));

    private bool _setupSent, _registersSent;
    private ulong[]? _loadedSetup, _loadedRegisters;

    protected override ulong Checksum() =>
        ContentHash.Append(ContentHash.Append((ulong)ModelNumber, SetupValues()), Registers());

    protected override void BeginSave() => _setupSent = _registersSent = false;

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (!_setupSent)
        {
            writer.Add(Setup.Id, 1, Setup.Required, MemoryMarshal.AsBytes<ulong>(SetupValues()));
            return _setupSent = true;
        }
        if (!_registersSent)
        {
            writer.Add(RegisterValues.Id, 1, RegisterValues.Required, MemoryMarshal.AsBytes<ulong>(Registers()));
            return _registersSent = true;
        }
        writer.End();
        return true;
    }

    // Without PRE_COPY there is no state in which this could be asked.
    protected override PreCopyBytes RemainingPreCopy() => default;

    protected override IStateSections BeginLoad()
    {
        _loadedSetup = _loadedRegisters = null;
        return this;
    }

    public SectionUse Begin(SectionHeader header) => (header.Id, header.Version) switch
    {
        (1, 1) => Sized(header, SetupCount, Setup),
        (2, 1) => Sized(header, RegisterCount, RegisterValues),
        _ => SectionUse.Unknown,
    };

    private static SectionUse Sized(SectionHeader header, int values, ModelSection section) => header.LengthBytes == values * 8
        ? SectionUse.Whole
        : throw new StateFormatException($"legacy's {section.Name} has {header.LengthBytes} bytes instead of {values * 8}");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        ulong[] values = MemoryMarshal.Cast<byte, ulong>(data).ToArray();
        if (header.Id == Setup.Id) _loadedSetup = values;
        else _loadedRegisters = values;
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("legacy streams no section");

    public void Finish()
    {
        if (_loadedSetup is not { } setup || _loadedRegisters is not { } values)
            throw new StateFormatException("legacy's state lacks its setup or its registers");
        Load(setup, values);
    }
}
