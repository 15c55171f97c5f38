using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Devices.Native;
using MigrationCluster.Protocol.Compatibility;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.Emulated;

/// <summary>
/// What all emulated models share: the walk through the device states, the table of allowed actions, regions made
/// of 64-bit registers, the DMA space with its log, interrupts, and the state stream's session.
/// </summary>
/// <remarks>
/// Two locks. <see cref="Sync"/> covers registers, state and every batch of the engine, so a state change falls
/// between batches and a store is never parted from its dirty mark. <see cref="PeerGate"/> is held across a P2P write,
/// which waits for another process, so that becoming P2P-quiet waits for the write under way without blocking
/// registers. Order: PeerGate, then Sync.
/// </remarks>
public abstract partial class EmulatedDevice : IMigratableDevice, IDescribedDevice
{
    private readonly DeviceModel _model;
    private readonly ModelParameters _parameters;
    private readonly int _vectors;
    private readonly StatePace _savePace, _loadPace;
    private SafeFileHandle?[] _interrupts = [];
    private DeviceState _state = DeviceState.Running;
    private StateStreamWriter? _save;
    private StateStreamReader? _load;
    private bool _loadFailed;
    private bool _disposed;

    private protected EmulatedDevice(DeviceModel model, ModelParameters parameters)
    {
        _model = model;
        _parameters = parameters;
        _vectors = model.Vectors(parameters);
        _savePace = new StatePace(parameters.ValueOf(DeviceModel.SaveRate));
        _loadPace = new StatePace(parameters.ValueOf(DeviceModel.LoadRate));
        _config = DeviceConfigSpace.PowerOn(model, _vectors);
        Shape = model.Shape(parameters);
    }

    public string Model => _model.Name;

    public DeviceShape Shape { get; }

    /// <summary>Told what an operator should know of a load: one line, such as the sections it dropped.</summary>
    public Action<string>? Log { get; set; }

    private protected ModelParameters Parameters => _parameters;

    private protected int ModelNumber => _model.Number;

    private protected int Vectors => _vectors;

    private MigrationCapabilities Capabilities => _model.CapabilitiesOf(_parameters);

    protected Lock Sync { get; } = new();

    protected SemaphoreSlim PeerGate { get; } = new(1, 1);

    internal DmaSpace Dma { get; } = new();

    // What migrates of the registers common to all models.
    protected ulong Scratch { get; set; }
    protected ulong InterruptsRaised { get; set; }
    protected ulong Errors { get; set; }
    protected ulong Control { get; set; }

    // What a model adds. All of it is called under Sync.
    protected abstract ulong ReadModelRegister(ulong offset);

    /// <exception cref="DeviceRefusedException">the write is not possible in this state.</exception>
    protected abstract void WriteModelRegister(ulong offset, ulong value);

    /// <summary>Called in every state, before anything else of a BAR write: what arrives too late is noticed by who it arrives at.</summary>
    /// <exception cref="DeviceRefusedException">a peer's write, in a state that takes none.</exception>
    protected virtual void CheckPeerWrite(ulong offset)
    {
    }

    /// <summary>The model's registers and memory back to power-on values.</summary>
    protected abstract void ResetModel();

    protected abstract ulong Checksum();

    protected virtual ulong Status => DeviceRegisters.StatusReady;

    /// <summary>A save session begins: everything is to be sent.</summary>
    protected abstract void BeginSave();

    /// <summary>Adds the next section of the session to a drained writer.</summary>
    /// <param name="final">the device is in StopCopy: after the last section the writer ends.</param>
    /// <returns>false: nothing to send now.</returns>
    protected abstract bool AddNextSection(StateStreamWriter writer, bool final);

    protected abstract PreCopyBytes RemainingPreCopy();

    /// <summary>A load begins; the model is at its power-on values.</summary>
    protected abstract IStateSections BeginLoad();

    /// <summary>Whether this device's driver writes and reads a section.</summary>
    private protected bool Knows(ModelSection section) => section.Since <= _parameters.Driver;

    /// <summary>State or control bits changed; engines may have work.</summary>
    protected virtual void OnActivityChanged()
    {
    }

    protected virtual void DisposeEngines()
    {
    }

    protected bool Allows(DeviceAction action) => AllowedActions.Allows(BackEnd.VfioUser, _state, action);

    /// <summary>Whether the device may write guest RAM now: its state allows it and the guest made it bus master.</summary>
    protected bool MayDma(DeviceAction action) =>
        Allows(action) && (_config[DeviceRegisters.PciCommand] & DeviceRegisters.PciBusMaster) != 0;

    protected void RaiseInterrupt(int vector)
    {
        InterruptsRaised++;
        if (vector < _interrupts.Length && _interrupts[vector] is { } eventFd) EventFd.Signal(eventFd);
    }

    protected void SaveCommon(Span<ulong> values)
    {
        values[0] = Scratch;
        values[1] = InterruptsRaised;
        values[2] = Errors;
        values[3] = Control;
    }

    protected void LoadCommon(ReadOnlySpan<ulong> values)
    {
        Scratch = values[0];
        InterruptsRaised = values[1];
        Errors = values[2];
        Control = values[3];
    }

    protected const int CommonCount = 4;

    // IDescribedDevice

    public ValueTask<DeviceDescriptor> DescribeAsync(CancellationToken cancellationToken) =>
        new(_model.Describe(DescriptorKind.Device, _parameters));

    public ValueTask CheckVersionAsync(string version, CancellationToken cancellationToken) =>
        new DeviceVersionString(_model, _parameters).Refusal(version) is { } refusal
            ? throw new DeviceRefusedException($"{Model} does not take that version string: {refusal}", Errno.EINVAL)
            : ValueTask.CompletedTask;

    // IMigratableDevice

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) => new(Capabilities);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken)
    {
        lock (Sync) return new(_state);
    }

    public async ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        await PeerGate.WaitAsync(cancellationToken);
        try
        {
            lock (Sync)
            {
                if (DeviceArcs.Next(_state, target, Capabilities) is null)
                    throw new DeviceRefusedException($"{Model} has no way from {_state} to {target}", Errno.EINVAL);
                while (_state != target) TakeArc(DeviceArcs.Next(_state, target, Capabilities)!.Value);
            }
        }
        finally
        {
            PeerGate.Release();
        }
        OnActivityChanged();
    }

    private void TakeArc(DeviceState next)
    {
        if (_state == DeviceState.Resuming)
        {
            if (_loadFailed)
                throw new DeviceRefusedException($"{Model}'s state stream was refused; only a reset helps", Errno.EIO);
            if (_load is { IsComplete: false })
                throw new DeviceRefusedException($"{Model}'s state stream is incomplete", Errno.EINVAL);
            if (_load is { Dropped: { Count: > 0 } dropped })
                Log?.Invoke($"{Model} dropped optional state sections that driver {_parameters.Driver} does not know: {string.Join(", ", dropped)}");
            _load = null;
        }
        if (next == DeviceState.Resuming)
        {
            ResetRegisters();
            _loadFailed = false;
            _load = new StateStreamReader(Model, DeviceModel.StreamFormatVersion, BeginLoad());
        }
        if (!DeviceArcs.IsSaving(next))
        {
            _save = null;
        }
        else if (!DeviceArcs.IsSaving(_state))
        {
            _save = new StateStreamWriter(Model, DeviceModel.StreamFormatVersion);
            BeginSave();
        }
        _state = next;
    }

    public async ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        int read = ReadData(buffer);
        await _savePace.PassAsync(read, cancellationToken);
        return read;
    }

    private int ReadData(Memory<byte> buffer)
    {
        lock (Sync)
        {
            Require(DeviceAction.DataRead, "reading state data");
            int total = 0;
            while (total < buffer.Length)
            {
                total += _save!.Read(buffer.Span[total..]);
                if (!_save.IsDrained) continue;
                if (_save.HasEnded || !AddNextSection(_save, _state == DeviceState.StopCopy)) break;
            }
            return total;
        }
    }

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        WriteData(data);
        return _loadPace.PassAsync(data.Length, cancellationToken);
    }

    private void WriteData(ReadOnlyMemory<byte> data)
    {
        lock (Sync)
        {
            Require(DeviceAction.DataWrite, "writing state data");
            if (_loadFailed)
                throw new DeviceRefusedException($"{Model}'s state stream was refused already; only a reset helps", Errno.EIO);
            try
            {
                _load!.Take(data.Span);
            }
            catch (StateFormatException e)
            {
                _loadFailed = true;
                throw new DeviceRefusedException(e.Message, Errno.EINVAL);
            }
        }
    }

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            if (_state is not (DeviceState.PreCopy or DeviceState.PreCopyP2P))
                throw new DeviceRefusedException($"{Model} counts pre-copy bytes in PreCopy only, not in {_state}", Errno.EINVAL);
            return new(RemainingPreCopy());
        }
    }

    public ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            if (_state == DeviceState.Error) throw NotNow("starting the dirty log");
            Dma.StartLog(pageSizeBytes);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        lock (Sync) Dma.StopLog();
        return ValueTask.CompletedTask;
    }

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            Require(DeviceAction.DirtyReport, "a dirty report");
            Dma.Report(start, sizeBytes, bitmap.Span);
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            Require(DeviceAction.DmaMap, "mapping DMA");
            try
            {
                Dma.Map(window);
            }
            catch (IOException e) when (e is not DeviceRefusedException)
            {
                throw new DeviceRefusedException(e.Message, Errno.EINVAL);
            }
        }
        return ValueTask.CompletedTask;
    }

    /// <remarks>Ends after the peer write under way: from then on none reaches the window.</remarks>
    public async ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken)
    {
        await PeerGate.WaitAsync(cancellationToken);
        try
        {
            lock (Sync)
            {
                Require(DeviceAction.DmaMap, "unmapping DMA");
                Dma.Unmap(start, sizeBytes);
            }
        }
        finally
        {
            PeerGate.Release();
        }
    }

    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken)
    {
        lock (Sync)
        {
            Require(DeviceAction.InterruptSetup, "setting up interrupts");
            if (index != Shape.Interrupts[0].Index || eventFds.Count > _vectors)
                throw new DeviceRefusedException(
                    $"{Model} has {_vectors} vectors of interrupt index 2, not {eventFds.Count} of index {index}", Errno.EINVAL);
            var copies = eventFds.Select(Descriptor.Duplicate).ToArray();
            foreach (var old in _interrupts) old?.Dispose();
            _interrupts = copies;
        }
        return ValueTask.CompletedTask;
    }

    public async ValueTask ResetAsync(CancellationToken cancellationToken)
    {
        await PeerGate.WaitAsync(cancellationToken);
        try
        {
            lock (Sync)
            {
                ResetRegisters();
                DeviceConfigSpace.PowerOn(_model, _vectors).CopyTo(_config, 0);
                _save = null;
                _load = null;
                _loadFailed = false;
                _state = DeviceState.Running;
            }
        }
        finally
        {
            PeerGate.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        await PeerGate.WaitAsync();
        try
        {
            if (_disposed) return;
            _disposed = true;
            lock (Sync) _state = DeviceState.Error;
        }
        finally
        {
            PeerGate.Release();
        }
        DisposeEngines();
        lock (Sync)
        {
            Dma.Dispose();
            foreach (var eventFd in _interrupts) eventFd?.Dispose();
            _interrupts = [];
        }
    }

    private void ResetRegisters()
    {
        Scratch = InterruptsRaised = Errors = Control = 0;
        ResetModel();
    }

    private void Require(DeviceAction action, string what)
    {
        if (!Allows(action)) throw NotNow(what);
    }

    private DeviceRefusedException NotNow(string what) => new($"{Model} does not allow {what} in {_state}", Errno.EINVAL);
}
