using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The <c>net</c> model: little state, a DMA engine that stamps pages of guest RAM at a set rate, and optionally P2P
/// writes into a peer's doorbell. P2P, STOP_COPY and PRE_COPY: what the driver set up, and the receive filter if there is one, go
/// early, because they change seldom; counters go last.
/// </summary>
internal sealed class NetDevice : DmaDevice, IStateSections
{
    private const string FilterSize = "rx-filter-size";

    private static readonly ModelSection Setup = new(1, "setup", Required: true);
    private static readonly ModelSection RegisterValues = new(2, "registers", Required: true);
    private static readonly ModelSection Statistics = new(3, "statistics", Required: false, Since: 2);
    private static readonly ModelSection Filter = new(4, "rx-filter", Required: true, Since: 2, Parameter: FilterSize);

    /// <summary>A device that does not know where the DMA faulted goes on, and faults there once more: it may be dropped.</summary>
    private static readonly ModelSection Fault = new(5, "dma-fault", Required: false, Rare: true, Since: 2);

    public static DeviceModel Description { get; } = new(
        "net", Number: 1, NetRegisters.BarBytes,
        MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy,
        [
            new("queues", "queues", Default: 4, Minimum: 1, Maximum: 64),
            new(FilterSize, "filters", Default: 0, Minimum: 0, Maximum: 4096, Since: 2),
            new("link-speed", "Mb/s", Default: 0, Minimum: 0, Maximum: 800_000, Since: 2),
            new("dma-rate", "MiB/s", Default: 20, Minimum: 0, Maximum: 4096, ParameterComparator.AtLeast),
            new("p2p-rate", "writes/s", Default: 0, Minimum: 0, Maximum: 100_000, ParameterComparator.AtLeast),
        ],
        [
            new("1", new Dictionary<string, string>()),
            new("2", new Dictionary<string, string> { [FilterSize] = "32" }),
        ],
        [Setup, RegisterValues, Statistics, Filter, Fault],
        parameters => (int)parameters["queues"],
        parameters => new NetDevice(parameters));

    private readonly ulong[] _filters;
    private ulong _filterIndex;
    private bool _setupDirty, _filtersDirty, _initialSent, _registersSent, _statisticsSent, _faultSent;
    private ulong[]? _loadedSetup, _loadedRegisters;
    private bool _filtersLoaded;

    public NetDevice(ModelParameters parameters)
        : base(Description, parameters) =>
        _filters = new ulong[parameters[FilterSize]];

    protected override void OnSetupChanged() => _setupDirty = true;

    protected override ulong ReadModelRegister(ulong offset) => offset switch
    {
        NetRegisters.FilterIndex => _filterIndex,
        NetRegisters.FilterValue when _filters.Length == 0 => 0,
        NetRegisters.FilterValue => _filterIndex < (ulong)_filters.Length ? _filters[_filterIndex] : ulong.MaxValue,
        NetRegisters.Queues => Parameters["queues"],
        NetRegisters.Filters => (ulong)_filters.Length,
        NetRegisters.LinkSpeed => Parameters["link-speed"],
        NetRegisters.FaultAddress => Knows(Fault) ? DmaFault ?? ulong.MaxValue : 0,
        _ => base.ReadModelRegister(offset),
    };

    protected override void WriteModelRegister(ulong offset, ulong value)
    {
        switch (offset)
        {
            case NetRegisters.FilterIndex or NetRegisters.FilterValue when _filters.Length == 0:
                // Without a filter there are no such registers: as anywhere else in the BAR, nothing happens.
                break;
            case NetRegisters.FilterIndex:
                _filterIndex = value;
                _filtersDirty = true;
                break;
            case NetRegisters.FilterValue when _filterIndex < (ulong)_filters.Length:
                _filters[_filterIndex] = value;
                _filtersDirty = true;
                break;
            case NetRegisters.FilterValue:
                Errors++;
                break;
            default:
                base.WriteModelRegister(offset, value);
                break;
        }
    }

    protected override void ResetModel()
    {
        base.ResetModel();
        _filterIndex = 0;
        Array.Clear(_filters);
    }

    protected override ulong Checksum() => ContentHash.Append(
        ContentHash.Append(ContentHash.Append((ulong)ModelNumber, SetupValues()), Registers()), FilterValues());

    protected override void BeginSave()
    {
        _setupDirty = true;
        _filtersDirty = _filters.Length > 0;
        _initialSent = _registersSent = _statisticsSent = _faultSent = false;
    }

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (_setupDirty)
        {
            Add(writer, Setup, SetupValues());
            _setupDirty = false;
            _initialSent = !_filtersDirty;
            return true;
        }
        if (_filtersDirty)
        {
            Add(writer, Filter, FilterValues());
            _filtersDirty = false;
            return _initialSent = true;
        }
        if (!final) return false;
        if (!_registersSent)
        {
            Add(writer, RegisterValues, Registers());
            return _registersSent = true;
        }
        if (!_statisticsSent && Knows(Statistics))
        {
            Add(writer, Statistics, PeerRefused);
            return _statisticsSent = true;
        }
        if (!_faultSent && Knows(Fault) && DmaFault is { } address)
        {
            Add(writer, Fault, address);
            return _faultSent = true;
        }
        writer.End();
        return true;
    }

    protected override PreCopyBytes RemainingPreCopy()
    {
        int setup = _setupDirty ? StateFormat.SectionHeaderBytes + SetupCount * 8 : 0;
        int filters = _filtersDirty ? StateFormat.SectionHeaderBytes + (_filters.Length + 1) * 8 : 0;
        ulong bytes = (ulong)(setup + filters);
        return _initialSent ? new PreCopyBytes(0, bytes) : new PreCopyBytes(bytes, 0);
    }

    protected override IStateSections BeginLoad()
    {
        _loadedSetup = _loadedRegisters = null;
        _filtersLoaded = false;
        return this;
    }

    public SectionUse Begin(SectionHeader header)
    {
        if (header.Version != 1) return SectionUse.Unknown;
        if (header.Id == Setup.Id) return Sized(header, SetupCount, Setup);
        if (header.Id == RegisterValues.Id) return Sized(header, RegisterCount, RegisterValues);
        if (header.Id == Statistics.Id && Knows(Statistics)) return Sized(header, 1, Statistics);
        if (header.Id == Fault.Id && Knows(Fault)) return Sized(header, 1, Fault);
        // Without a filter of its own this device knows no such section either: it is required, so the stream is refused.
        return header.Id == Filter.Id && _filters.Length > 0 ? Sized(header, _filters.Length + 1, Filter) : SectionUse.Unknown;
    }

    private static SectionUse Sized(SectionHeader header, int values, ModelSection section) => header.LengthBytes == values * 8
        ? SectionUse.Whole
        : throw new StateFormatException($"net's {section.Name} has {header.LengthBytes} bytes instead of {values * 8}");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        var values = MemoryMarshal.Cast<byte, ulong>(data);
        if (header.Id == Setup.Id)
        {
            _loadedSetup = values.ToArray();
        }
        else if (header.Id == RegisterValues.Id)
        {
            _loadedRegisters = values.ToArray();
        }
        else if (header.Id == Filter.Id)
        {
            _filterIndex = values[0];
            values[1..].CopyTo(_filters);
            _filtersLoaded = true;
        }
        else if (header.Id == Fault.Id)
        {
            DmaFault = values[0];
        }
        else
        {
            PeerRefused = values[0];
        }
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("net streams no section");

    public void Finish()
    {
        if (_loadedSetup is not { } setup || _loadedRegisters is not { } values || (_filters.Length > 0 && !_filtersLoaded))
            throw new StateFormatException("net's state lacks its setup, its registers or its receive filter");
        Load(setup, values);
    }

    private static void Add(StateStreamWriter writer, ModelSection section, params ReadOnlySpan<ulong> values) =>
        writer.Add(section.Id, 1, section.Required, MemoryMarshal.AsBytes(values));

    private ulong[] FilterValues() => _filters.Length == 0 ? [] : [_filterIndex, .. _filters];
}
