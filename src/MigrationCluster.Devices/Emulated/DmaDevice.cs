using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// What <c>net</c> and <c>legacy</c> share: an engine that stamps pages of guest RAM at a set rate, and one that writes numbers
/// without a gap into a peer's doorbell (<see cref="NetRegisters"/>).
/// </summary>
/// <remarks>A P2P write that a peer refuses, or that no window takes because its mapping was removed, is held and tried again, so that
/// neither costs a number.</remarks>
internal abstract class DmaDevice : EmulatedDevice
{
    protected const int SetupCount = 3;
    protected const int RegisterCount = CommonCount + 4;
    private const int PagesPerBatch = 16;
    private const ulong PagesPerInterrupt = 64;
    private static readonly TimeSpan PeerTimeLimit = TimeSpan.FromSeconds(5);

    private readonly Engine _dmaEngine;
    private readonly Engine _peerEngine;
    private readonly RateBudget _dmaBudget;
    private readonly RateBudget _peerBudget;
    private readonly byte[] _peerNumber = new byte[8];

    private ulong _dmaBase, _dmaSize, _dmaPages, _dmaAccumulator;
    private ulong _peerAddress, _peerSent, _peerSum;

    private protected DmaDevice(DeviceModel model, ModelParameters parameters) : base(model, parameters)
    {
        var burst = TimeSpan.FromMilliseconds(50);
        _dmaBudget = new RateBudget(parameters["dma-rate"] * 256.0, burst);
        _peerBudget = new RateBudget(parameters["p2p-rate"], burst);
        _dmaEngine = new Engine($"{model.Name}-dma", StepDma);
        _peerEngine = new Engine($"{model.Name}-p2p", StepPeer);
    }

    /// <summary>P2P writes that were refused, or held because nothing was mapped, and tried again.</summary>
    protected ulong PeerRefused { get; set; }

    /// <summary>Where DMA last faulted; the engine stands still there until it is set up anew.</summary>
    protected ulong? DmaFault { get; set; }

    /// <summary>What the driver set up has changed.</summary>
    protected virtual void OnSetupChanged()
    {
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
        NetRegisters.PeerRefused => PeerRefused,
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
                DmaFault = null;
                OnSetupChanged();
                break;
            case NetRegisters.PeerAddress:
                _peerAddress = value;
                OnSetupChanged();
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

    protected override void ResetModel()
    {
        _dmaBase = _dmaSize = _dmaPages = _dmaAccumulator = 0;
        _peerAddress = _peerSent = _peerSum = PeerRefused = 0;
        DmaFault = null;
    }

    protected ulong[] SetupValues() => [_dmaBase, _dmaSize, _peerAddress];

    protected ulong[] Registers()
    {
        ulong[] values = new ulong[RegisterCount];
        SaveCommon(values);
        (values[4], values[5], values[6], values[7]) = (_dmaPages, _dmaAccumulator, _peerSent, _peerSum);
        return values;
    }

    protected void Load(ReadOnlySpan<ulong> setup, ReadOnlySpan<ulong> values)
    {
        LoadCommon(values);
        (_dmaBase, _dmaSize, _peerAddress) = (setup[0], setup[1], setup[2]);
        (_dmaPages, _dmaAccumulator, _peerSent, _peerSum) = (values[4], values[5], values[6], values[7]);
    }

    private bool DmaIsActive =>
        (Control & NetRegisters.ControlDma) != 0 && _dmaSize != 0 && DmaFault is null && MayDma(DeviceAction.OutgoingDma);

    private bool StepDma(TimeSpan elapsed)
    {
        for (int due = _dmaBudget.Take(elapsed); ; due -= PagesPerBatch)
        {
            lock (Sync)
            {
                if (!DmaIsActive) return false;
                for (int i = 0; i < Math.Min(due, PagesPerBatch) && DmaFault is null; i++) WriteNextPage();
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
            DmaFault = address.Value;
            return;
        }
        // SAFETY: page is a whole mapped page, held in place by Sync.
        if (!PageStamp.Matches(page, number, version)) Errors++;
        PageStamp.Write(page, number, version + 1);
        mark.Set();
        _dmaAccumulator += PageStamp.Mix(number, version + 1) - PageStamp.Mix(number, version);
        _dmaPages++;
        if (_dmaPages % PagesPerInterrupt == 0) RaiseInterrupt((int)(_dmaPages / PagesPerInterrupt % (ulong)Vectors));
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
                PeerRefused++;
                return true;
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
            lock (Sync) PeerRefused++;
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
}
