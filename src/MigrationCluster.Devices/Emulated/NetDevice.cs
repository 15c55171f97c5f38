using System.Runtime.InteropServices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// The <c>net</c> model: little state, a DMA engine that stamps pages of guest RAM at a set rate, and optionally P2P
/// writes into a peer's doorbell. PRE_COPY (its receive filters), P2P and STOP_COPY.
/// </summary>
internal sealed class NetDevice : EmulatedDevice, IStateSections
{
    public static readonly IReadOnlyList<ModelParameter> Parameters =
    [
        new("queues", "queues", Default: 4, Minimum: 1, Maximum: 64),
        new("rx-filters", "filters", Default: 64, Minimum: 1, Maximum: 4096),
        new("dma-rate", "MiB/s", Default: 20, Minimum: 0, Maximum: 4096),
        new("p2p-rate", "writes/s", Default: 0, Minimum: 0, Maximum: 100_000),
    ];

    private const ushort FilterSection = 1;
    private const ushort RegisterSection = 2;
    private const ushort StatisticsSection = 3;
    private const int RegisterCount = CommonCount + 8;
    private const int PagesPerBatch = 16;
    private const ulong PagesPerInterrupt = 64;
    private static readonly TimeSpan PeerTimeLimit = TimeSpan.FromSeconds(5);

    private readonly int _queues;
    private readonly ulong[] _filters;
    private readonly Engine _dmaEngine;
    private readonly Engine _peerEngine;
    private readonly RateBudget _dmaBudget;
    private readonly RateBudget _peerBudget;
    private readonly byte[] _peerNumber = new byte[8];

    private ulong _dmaBase, _dmaSize, _dmaPages, _dmaAccumulator;
    private ulong _peerAddress, _peerSent, _peerSum, _filterIndex;
    private ulong _peerRefused;
    private bool _dmaFaulted;

    private bool _filtersDirty, _initialSent, _registersSent, _statisticsSent;
    private ulong[]? _loadedRegisters;
    private bool _filtersLoaded;

    public NetDevice(ModelParameters parameters)
        : base("net", 1, NetRegisters.BarBytes, (int)parameters["queues"],
            MigrationCapabilities.StopCopy | MigrationCapabilities.P2P | MigrationCapabilities.PreCopy)
    {
        _queues = (int)parameters["queues"];
        _filters = new ulong[parameters["rx-filters"]];
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
        NetRegisters.FilterValue => _filterIndex < (ulong)_filters.Length ? _filters[_filterIndex] : ulong.MaxValue,
        NetRegisters.Queues => (ulong)_queues,
        NetRegisters.Filters => (ulong)_filters.Length,
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
                break;
            case NetRegisters.PeerAddress:
                _peerAddress = value;
                break;
            case NetRegisters.FilterIndex:
                _filterIndex = value;
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
        (Control & NetRegisters.ControlDma) != 0 && _dmaSize != 0 && !_dmaFaulted && MayDma(DeviceAction.OutgoingDma);

    private bool StepDma(TimeSpan elapsed)
    {
        for (int due = _dmaBudget.Take(elapsed); ; due -= PagesPerBatch)
        {
            lock (Sync)
            {
                if (!DmaIsActive) return false;
                for (int i = 0; i < Math.Min(due, PagesPerBatch) && !_dmaFaulted; i++) WriteNextPage();
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
            _dmaFaulted = true;
            return;
        }
        // SAFETY: page is a whole mapped page, held in place by Sync.
        if (!PageStamp.Matches(page, number, version)) Errors++;
        PageStamp.Write(page, number, version + 1);
        mark.Set();
        _dmaAccumulator += PageStamp.Mix(number, version + 1) - PageStamp.Mix(number, version);
        _dmaPages++;
        if (_dmaPages % PagesPerInterrupt == 0) RaiseInterrupt((int)(_dmaPages / PagesPerInterrupt % (ulong)_queues));
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
        _dmaFaulted = false;
        Array.Clear(_filters);
    }

    protected override ulong Checksum() =>
        ContentHash.Append(ContentHash.Append((ulong)ModelNumber, Registers()), _filters);

    protected override void BeginSave()
    {
        _filtersDirty = true;
        _initialSent = _registersSent = _statisticsSent = false;
    }

    protected override bool AddNextSection(StateStreamWriter writer, bool final)
    {
        if (_filtersDirty)
        {
            writer.Add(FilterSection, 1, required: true, MemoryMarshal.AsBytes<ulong>(_filters));
            _filtersDirty = false;
            return _initialSent = true;
        }
        if (!final) return false;
        if (!_registersSent)
        {
            writer.Add(RegisterSection, 1, required: true, MemoryMarshal.AsBytes<ulong>(Registers()));
            return _registersSent = true;
        }
        if (!_statisticsSent)
        {
            writer.Add(StatisticsSection, 1, required: false, BitConverter.GetBytes(_peerRefused));
            return _statisticsSent = true;
        }
        writer.End();
        return true;
    }

    protected override PreCopyBytes RemainingPreCopy()
    {
        ulong bytes = _filtersDirty ? (ulong)(StateFormat.SectionHeaderBytes + _filters.Length * 8) : 0;
        return _initialSent ? new PreCopyBytes(0, bytes) : new PreCopyBytes(bytes, 0);
    }

    protected override IStateSections BeginLoad()
    {
        _loadedRegisters = null;
        _filtersLoaded = false;
        return this;
    }

    public SectionUse Begin(SectionHeader header) => (header.Id, header.Version) switch
    {
        (FilterSection, 1) => Sized(header, (uint)_filters.Length * 8, "filters"),
        (RegisterSection, 1) => Sized(header, RegisterCount * 8, "registers"),
        (StatisticsSection, 1) => Sized(header, 8, "statistics"),
        _ => SectionUse.Unknown,
    };

    private static SectionUse Sized(SectionHeader header, uint bytes, string what) => header.LengthBytes == bytes
        ? SectionUse.Whole
        : throw new StateFormatException($"net's {what} have {header.LengthBytes} bytes instead of {bytes}");

    public void TakeWhole(SectionHeader header, ReadOnlySpan<byte> data)
    {
        switch (header.Id)
        {
            case FilterSection:
                data.CopyTo(MemoryMarshal.AsBytes(_filters.AsSpan()));
                _filtersLoaded = true;
                break;
            case RegisterSection:
                _loadedRegisters = MemoryMarshal.Cast<byte, ulong>(data).ToArray();
                break;
            default:
                _peerRefused = BitConverter.ToUInt64(data);
                break;
        }
    }

    public void TakePiece(SectionHeader header, uint offset, ReadOnlySpan<byte> piece) =>
        throw new InvalidOperationException("net streams no section");

    public void Finish()
    {
        if (!_filtersLoaded || _loadedRegisters is not { } values)
            throw new StateFormatException("net's state lacks its filters or its registers");
        LoadCommon(values);
        (_dmaBase, _dmaSize, _dmaPages, _dmaAccumulator) = (values[4], values[5], values[6], values[7]);
        (_peerAddress, _peerSent, _peerSum, _filterIndex) = (values[8], values[9], values[10], values[11]);
    }

    private ulong[] Registers()
    {
        ulong[] values = new ulong[RegisterCount];
        SaveCommon(values);
        (values[4], values[5], values[6], values[7]) = (_dmaBase, _dmaSize, _dmaPages, _dmaAccumulator);
        (values[8], values[9], values[10], values[11]) = (_peerAddress, _peerSent, _peerSum, _filterIndex);
        return values;
    }
}
