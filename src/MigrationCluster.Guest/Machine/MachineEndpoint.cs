using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated.State;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Guest.Relay;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Machine;

/// <summary>
/// The machine's endpoint. Its device state runs and pauses the vCPUs:
///
/// <code>
///   Running &lt;--pause, resume--> Stop &lt;--> StopCopy (registers are read)
///                                 &lt;--> Resuming (registers are loaded)
/// </code>
/// STOP_COPY only: pages are pre-copied through the dirty log, not through this stream. An incoming machine starts in
/// Stop. It resumes only when the fence says so and no device stands still.
/// </summary>
internal sealed partial class MachineEndpoint : IMachineEndpoint, IMappableRegions, IDisposable
{
    private const MigrationCapabilities Capabilities = MigrationCapabilities.StopCopy;
    private const int MaxStreamBytes = 1 << 20;
    private static readonly TimeSpan DevicesStopLimit = TimeSpan.FromSeconds(10);

    private readonly GuestMachine _machine;
    private readonly GuestRam _ram;
    private readonly GuestFence _fence;
    private readonly IReadOnlyList<DeviceRelay> _relays;
    private readonly PeerLinks _links;
    private readonly SetupRecord _setup;
    private readonly Action _shutDown;
    private readonly Action<string> _log;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly PendingDirty _pending;
    private readonly PauseWatch _pauseWatch;
    private readonly VcpuThrottle _throttle;
    private volatile DeviceState _state;
    private Protocol.Identity.Fence? _bound;
    private byte[] _stream = [];
    private int _streamRead;
    private bool _loading;
    private bool _readSincePaused;

    /// <param name="log">one line of what an operator should know.</param>
    public MachineEndpoint(
        LaunchSpec launch, GuestMachine machine, GuestRam ram, GuestFence fence, IReadOnlyList<DeviceRelay> relays,
        PeerLinks links, bool running, Action shutDown, Action<string> log)
    {
        _machine = machine;
        _ram = ram;
        _fence = fence;
        _relays = relays;
        _links = links;
        _shutDown = shutDown;
        _log = log;
        _pending = new PendingDirty(ram.Layout.PageCount);
        _pauseWatch = new PauseWatch(TimeProvider.System, () => _ = KeepAsync());
        _throttle = new VcpuThrottle(TimeProvider.System, machine.Throttle);
        _state = running ? DeviceState.Running : DeviceState.Stop;
        Shape = new DeviceShape(CanReset: false, [.. Regions()], []);
        _setup = MachineSetup.Describe(launch, Shape, relays, links);
        if (running) machine.Resume();
    }

    public DeviceShape Shape { get; }

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) => new(Capabilities);

    public ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken) => new(_state);

    public async ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _fence.RequireTransition("the machine", _state, target);
        if (DeviceArcs.Path(_state, target, Capabilities) is not { } path)
            throw new DeviceRefusedException($"the machine has no way from {_state} to {target}", Errno.EINVAL);
        foreach (var next in path) await TakeArcAsync(next, cancellationToken);
    }

    private async Task TakeArcAsync(DeviceState next, CancellationToken cancellationToken)
    {
        switch (_state, next)
        {
            case (DeviceState.Running, _):
                await _machine.PauseAsync();
                _throttle.Lift();
                _readSincePaused = false;
                _pauseWatch.OnPaused();
                await _links.PausedAsync();
                break;
            case (_, DeviceState.Running):
                RequireDevicesUp();
                await _links.ResumingAsync();
                _pauseWatch.Disarm();
                _machine.Resume();
                break;
            case (_, DeviceState.StopCopy):
                await WaitForDevicesAsync(cancellationToken);
                // No device runs any more, so nothing is signalled after this.
                foreach (var driver in _machine.Drivers) driver.TakeInterrupts();
                _stream = new MachineState(_machine, _relays).Save();
                _streamRead = 0;
                _loading = false;
                break;
            case (_, DeviceState.Resuming):
                _stream = [];
                _loading = true;
                break;
            case (DeviceState.Resuming, _):
                Load();
                break;
        }
        _state = next;
    }

    private void RequireDevicesUp()
    {
        if (_relays.FirstOrDefault(relay => FencedArc.IsStopped(relay.KnownState) && !relay.IsIsolated) is { } stopped)
            throw new DeviceRefusedException($"the machine waits for {stopped.Name}, which is in {stopped.KnownState}", Errno.EBUSY);
    }

    /// <summary>Registers are read after the last device has stopped: interrupts of devices count until then.</summary>
    private async Task WaitForDevicesAsync(CancellationToken cancellationToken)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(DevicesStopLimit);
        while (_relays.FirstOrDefault(relay => FencedArc.IsRunning(relay.KnownState)) is { } running)
        {
            if (limit.IsCancellationRequested)
                throw new DeviceRefusedException($"the machine's registers are read after {running.Name} has stopped; it is in {running.KnownState}", Errno.EBUSY);
            await Task.Delay(1, CancellationToken.None);
        }
    }

    private void Load()
    {
        try
        {
            new MachineState(_machine, _relays).Load(_stream);
        }
        catch (StateFormatException e)
        {
            throw new DeviceRefusedException(e.Message, Errno.EINVAL);
        }
    }

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's stream is read by offset", Errno.EOPNOTSUPP);

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's stream is written by offset", Errno.EOPNOTSUPP);

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken) => new((PreCopyBytes?)null);

    public async ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        if (pageSizeBytes != GuestMemoryLayout.PageSizeBytes)
            throw new DeviceRefusedException($"dirty pages are of {GuestMemoryLayout.PageSizeBytes} bytes", Errno.EINVAL);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _machine.StartDirtyLog();
        _pending.Open();
    }

    public async ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _machine.Dirty.Stop();
        _pending.Close();
    }

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's dirty pages are read until they are acknowledged", Errno.EOPNOTSUPP);

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        if (region != MachineRegisters.Region || offset > MachineRegisters.SizeBytes
            || (ulong)destination.Length > MachineRegisters.SizeBytes - offset)
            throw new DeviceRefusedException("the machine's registers are region 0; RAM and digests are for mapping", Errno.EINVAL);
        var bytes = destination.Span;
        Span<byte> register = stackalloc byte[8];
        for (int i = 0; i < bytes.Length;)
        {
            ulong at = offset + (ulong)i;
            BinaryPrimitives.WriteUInt64LittleEndian(register, ReadRegister(at & ~7UL));
            int count = Math.Min(8 - (int)(at & 7), bytes.Length - i);
            register.Slice((int)(at & 7), count).CopyTo(bytes[i..]);
            i += count;
        }
        return ValueTask.CompletedTask;
    }

    public ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        if (region != MachineRegisters.Region || offset != MachineRegisters.CheckRequest || source.Length != 8)
            throw new DeviceRefusedException("of the machine's registers only the check request can be written, as 8 bytes", Errno.EINVAL);
        if (_state != DeviceState.Running)
            throw new DeviceRefusedException($"a machine in {_state} checks nothing", Errno.EBUSY);
        _machine.RequestCheck(BinaryPrimitives.ReadUInt64LittleEndian(source.Span));
        return ValueTask.CompletedTask;
    }

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken) => throw NoDevice();

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken) => throw NoDevice();

    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken) =>
        throw NoDevice();

    public ValueTask ResetAsync(CancellationToken cancellationToken) => throw NoDevice();

    public SafeFileHandle? RegionFile(int region, out ulong offset)
    {
        int windows = _ram.Layout.Windows.Count;
        offset = 0;
        if (region < 1 || region > windows + 1) return null;
        if (region == windows + 1) return _ram.TablesFile;
        offset = (ulong)_ram.Layout.FirstPageOf(region - 1) * GuestMemoryLayout.PageSizeBytes;
        return _ram.File;
    }

    public void Dispose()
    {
        _pauseWatch.Dispose();
        _throttle.Dispose();
    }

    public ValueTask DisposeAsync()
    {
        Dispose();
        return ValueTask.CompletedTask;
    }

    private ulong ReadRegister(ulong offset) => offset switch
    {
        MachineRegisters.CheckDone => _machine.CheckDone,
        MachineRegisters.CheckPages => _machine.CheckPages,
        MachineRegisters.CheckWrong => _machine.CheckWrong,
        MachineRegisters.PageWrites => Sum(_machine.Vcpus.Select(vcpu => vcpu.Registers.PageWrites)),
        MachineRegisters.WorkErrors => Sum(_machine.Vcpus.Select(vcpu => vcpu.Registers.Errors))
            + Sum(_machine.Drivers.Select(driver => driver.Registers.Errors)),
        MachineRegisters.RegisterOperations => Sum(_machine.Drivers.Select(driver => driver.Registers.Operations)),
        MachineRegisters.Interrupts => Sum(_machine.Drivers.Select(driver => driver.Registers.Interrupts)),
        MachineRegisters.IsolatedDevices => Sum(_relays.Select((relay, slot) => relay.IsIsolated ? 1UL << slot : 0)),
        MachineRegisters.PeerWritesRefused => Sum(_relays.Select(relay => (ulong)relay.PeerWritesRefused)),
        _ => 0,
    };

    private static ulong Sum(IEnumerable<ulong> values) => values.Aggregate(0UL, (sum, value) => sum + value);

    private IEnumerable<RegionShape> Regions()
    {
        yield return new RegionShape(MachineRegisters.Region, MachineRegisters.SizeBytes, Readable: true, Writable: true, Mappable: false);
        for (int i = 0; i < _ram.Layout.Windows.Count; i++)
            yield return new RegionShape(1 + i, _ram.Layout.Windows[i].SizeBytes, true, true, Mappable: true);
        yield return new RegionShape(1 + _ram.Layout.Windows.Count, (ulong)_ram.TablesBytes, true, true, Mappable: true);
    }

    private static DeviceRefusedException NoDevice() => new("the machine is no device", Errno.EOPNOTSUPP);
}
