using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The <c>net</c> model: little state, a DMA engine that stamps pages of guest RAM at a set rate, and optionally P2P
/// writes into a peer's doorbell. P2P, STOP_COPY and PRE_COPY: what the driver set up, and the receive filter if there is one, go
/// early, because they change seldom; counters go last.
/// </summary>
internal sealed class NetDevice : EmulatedDevice, IStateSections
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

    private const int SetupCount = 3;
    private const int RegisterCount = CommonCount + 4;
    private const int PagesPerBatch = 16;
    private const ulong PagesPerInterrupt = 64;
    private static readonly TimeSpan PeerTimeLimit = TimeSpan.FromSeconds(5);

    private readonly ulong[] _filters;
    private readonly Engine _dmaEngine;
    private readonly Engine _peerEngine;
    private readonly RateBudget _dmaBudget;
    private readonly RateBudget _peerBudget;
    private readonly byte[] _peerNumber = new byte[8];

    private ulong _dmaBase, _dmaSize, _dmaPages, _dmaAccumulator;
    private ulong _peerAddress, _peerSent, _peerSum, _filterIndex;
    private ulong _peerRefused;
    private ulong? _faultAddress;

    private bool _setupDirty, _filtersDirty, _initialSent, _registersSent, _statisticsSent, _faultSent;
    private ulong[]? _loadedSetup, _loadedRegisters;
    private bool _filtersLoaded;

    public NetDevice(ModelParameters parameters)
        : base(Description, parameters)
    {
        _filters = new ulong[parameters[FilterSize]];
        var burst = TimeSpan.FromMilliseconds(50);
        _dmaBudget = new RateBudget(parameters["dma-rate"] * 256.0, burst);
        _peerBudget = new RateBudget(parameters["p2p-rate"], burst);
        _dmaEngine = new Engine("net-dma", StepDma);
        _peerEngine = new Engine("net-p2p", StepPeer);
    }

    protected override ulong ReadModelRegister(ulong offset) => offset switch
    {
        NetRegisters.DmaBase => _dmaBase,
        NetRegisters.DmaSizeBytes => _dmaSize,
        NetRegisters.DmaPages => _dmaPages,
        NetRegisters.DmaAccumulator => _dmaAccumulator,
        NetRegisters.PeerAddress => _peerAddress,
        NetRegisters.PeerSent => _peerSent,
        NetRegisters.PeerSum => _peerSum,
        NetRegisters.PeerRefused => _peerRefused,
        NetRegisters.FilterIndex => _filterIndex,
        NetRegisters.FilterValue when _filters.Length == 0 => 0,
        NetRegisters.FilterValue => _filterIndex < (ulong)_filters.Length ? _filters[_filterIndex] : ulong.MaxValue,
        NetRegisters.Queues => Parameters["queues"],
        NetRegisters.Filters => (ulong)_filters.Length,
        NetRegisters.LinkSpeed => Parameters["link-speed"],
        NetRegisters.FaultAddress => Knows(Fault) ? _faultAddress ?? ulong.MaxValue : 0,
        _ => 0,
    };

    protected override void WriteModelRegister(ulong offset, ulong value)
    {
        switch (offset)
        {
            case NetRegisters.DmaBase or NetRegisters.DmaSizeBytes:
                if ((Control & NetRegisters.ControlDma) != 0 || value % GuestMemoryLayout.PageSizeBytes != 0)
                {
                    Errors++;
                    return;
                }
                if (offset == NetRegisters.DmaBase) _dmaBase = value;
                else _dmaSize = value;
                _dmaPages = _dmaAccumulator = 0;
                _faultAddress = null;
                _setupDirty = true;
                break;
            case NetRegisters.PeerAddress:
                _peerAddress = value;
                _setupDirty = true;
                break;
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
        }
    }

    protected override void OnActivityChanged()
    {
        _dmaEngine.Wake();
        _peerEngine.Wake();
    }

    protected override void DisposeEngines()
    {
        _dmaEngine.Dispose();
        _peerEngine.Dispose();
    }

    private bool DmaIsActive =>
        (Control & NetRegisters.ControlDma) != 0 && _dmaSize != 0 && _faultAddress is null && MayDma(DeviceAction.OutgoingDma);

    private bool StepDma(TimeSpan elapsed)
    {
        for (int due = _dmaBudget.Take(elapsed); ; due -= PagesPerBatch)
        {
            lock (Sync)
            {
                if (!DmaIsActive) return false;
                for (int i = 0; i < Math.Min(due, PagesPerBatch) && _faultAddress is null; i++) WriteNextPage();
            }
            if (due <= PagesPerBatch) return true;
        }
    }

    private unsafe void WriteNextPage()
    {
        ulong pages = _dmaSize / GuestMemoryLayout.PageSizeBytes;
        uint version = (uint)(_dmaPages / pages);
        var address = new Iova(_dmaBase + _dmaPages % pages * GuestMemoryLayout.PageSizeBytes);
        ulong number = address.Value / GuestMemoryLayout.PageSizeBytes;
        if (!Dma.TryFindPage(address, out byte* page, out var mark))
        {
            // As on a bus: the access faults, the device reports it and stands still until it is set up anew.
            Errors++;
            _faultAddress = address.Value;
            return;
        }
        // SAFETY: page is a whole mapped page, held in place by Sync.
        if (!PageStamp.Matches(page, number, version)) Errors++;
        PageStamp.Write(page, number, version + 1);
        mark.Set();
        _dmaAccumulator += PageStamp.Mix(number, version + 1) - PageStamp.Mix(number, version);
        _dmaPages++;
        if (_dmaPages % PagesPerInterrupt == 0) RaiseInterrupt((int)(_dmaPages / PagesPerInterrupt % Parameters["queues"]));
    }

    private bool StepPeer(TimeSpan elapsed)
    {
        for (int due = _peerBudget.Take(elapsed); due > 0; due--)
        {
            PeerGate.Wait();
            try
            {
                if (!WriteToPeer()) return false;
            }
            finally
            {
                PeerGate.Release();
            }
        }
        lock (Sync) return PeerIsActive;
    }

    private bool PeerIsActive =>
        (Control & NetRegisters.ControlPeer) != 0 && MayDma(DeviceAction.OutgoingP2P);

    private bool WriteToPeer()
    {
        IDmaTarget? target;
        Iova address;
        lock (Sync)
        {
            if (!PeerIsActive) return false;
            address = new Iova(_peerAddress);
            target = Dma.TargetOf(address);
            if (target is null)
            {
                Errors++;
                Control &= ~NetRegisters.ControlPeer;
                return false;
            }
            BitConverter.TryWriteBytes(_peerNumber, _peerSent + 1);
        }
        try
        {
            // This thread is the device's own and has nothing else to do until the peer answers.
            using var limit = new CancellationTokenSource(PeerTimeLimit);
            target.WriteAsync(address, _peerNumber, limit.Token).AsTask().GetAwaiter().GetResult();
            lock (Sync)
            {
                _peerSent++;
                _peerSum += PageStamp.Mix(_peerSent, 1);
            }
            return true;
        }
        catch (DeviceRefusedException)
        {
            lock (Sync) _peerRefused++;
            return true;
        }
        catch (Exception e) when (e is IOException or OperationCanceledException)
        {
            // Not answered: whether the peer took it is unknown, so that going on could repeat a number.
            lock (Sync)
            {
                Errors++;
                Control &= ~NetRegisters.ControlPeer;
            }
            return false;
        }
    }

    protected override void ResetModel()
    {
        _dmaBase = _dmaSize = _dmaPages = _dmaAccumulator = 0;
        _peerAddress = _peerSent = _peerSum = _peerRefused = _filterIndex = 0;
        _faultAddress = null;
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
            Add(writer, Statistics, _peerRefused);
            return _statisticsSent = true;
        }
        if (!_faultSent && Knows(Fault) && _faultAddress is { } address)
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
            _faultAddress = values[0];
        }
        else
        {
            _peerRefused = values[0];
        }
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("net streams no section");

    public void Finish()
    {
        if (_loadedSetup is not { } setup || _loadedRegisters is not { } values || (_filters.Length > 0 && !_filtersLoaded))
            throw new StateFormatException("net's state lacks its setup, its registers or its receive filter");
        LoadCommon(values);
        (_dmaBase, _dmaSize, _peerAddress) = (setup[0], setup[1], setup[2]);
        (_dmaPages, _dmaAccumulator, _peerSent, _peerSum) = (values[4], values[5], values[6], values[7]);
    }

    private static void Add(StateStreamWriter writer, ModelSection section, params ReadOnlySpan<ulong> values) =>
        writer.Add(section.Id, 1, section.Required, MemoryMarshal.AsBytes(values));

    private ulong[] SetupValues() => [_dmaBase, _dmaSize, _peerAddress];

    private ulong[] FilterValues() => _filters.Length == 0 ? [] : [_filterIndex, .. _filters];

    private ulong[] Registers()
    {
        ulong[] values = new ulong[RegisterCount];
        SaveCommon(values);
        (values[4], values[5], values[6], values[7]) = (_dmaPages, _dmaAccumulator, _peerSent, _peerSum);
        return values;
    }
}
