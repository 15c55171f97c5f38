using Microsoft.Win32.SafeHandles;
using MigrationCluster.Devices;
using MigrationCluster.Devices.Emulated;
using MigrationCluster.Devices.VfioUser;
using MigrationCluster.Guest.Memory;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Integrity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>
/// A device's endpoint: passes on to the device server what the fence and the device's state allow, and keeps what must
/// outlive a daemon: pending dirty pages, the retained stream, digests, and the config space that a
/// device's own stream leaves out.
/// </summary>
/// <remarks>
/// <see cref="_gate"/> lets one caller at a time change state or move data. Registers go beside it, for the vCPUs and
/// for peers' DMA, judged by the state known here.
/// </remarks>
internal sealed partial class DeviceRelay : IMigrationEndpoint, IDescribedDevice
{
    /// <summary>What of config space a guest programs, in the order it is restored in: bus mastering last.</summary>
    private static readonly (int Offset, int Bytes)[] ProgrammedConfig =
    [
        (0x10, 4), (0x14, 4), (0x18, 4), (0x1C, 4), (0x20, 4), (0x24, 4), // BARs
        (0x0C, 1), (0x3C, 1), // cache line size, interrupt line
        (0x04, 2), // command
    ];

    /// <summary>Whose table of allowed actions holds here: what a relay speaks to.</summary>
    private const BackEnd Kind = BackEnd.VfioUser;

    private const int MsixInterrupt = 2;

    private readonly VfioUserClient _device;
    private readonly LaunchDevice _launch;
    private readonly GuestFence _fence;
    private readonly GuestRam _ram;
    private readonly PeerLinks _links;
    private readonly SetupRecord _setup;
    private readonly SemaphoreSlim _gate = new(1, 1);
    private readonly RetainedStream _retained = new();
    private readonly PendingDirty _pending;
    private readonly byte[] _config = new byte[DeviceRegisters.ConfigSpaceBytes];
    private readonly byte[] _windowBitmap;
    private int _configBytes;
    private byte[]? _configToRestore;
    private volatile DeviceState _state;
    private Fence? _bound;
    private ulong _accepted;
    private uint _acceptedCrc;
    private bool _loading;
    private volatile bool _stopping;
    private volatile bool _isolated;
    private bool _readSinceStopped;
    private long _peerWritesRefused;

    private DeviceRelay(
        VfioUserClient device, LaunchDevice launch, GuestFence fence, GuestRam ram, PeerLinks links, SetupRecord setup,
        MigrationCapabilities capabilities, DeviceState state)
    {
        _device = device;
        _launch = launch;
        _fence = fence;
        _ram = ram;
        _links = links;
        _setup = setup;
        _state = state;
        Capabilities = capabilities;
        _pending = new PendingDirty(ram.Layout.PageCount);
        long pages = ram.Layout.Windows.Max(window => (long)(window.SizeBytes / GuestMemoryLayout.PageSizeBytes));
        _windowBitmap = new byte[(pages + 63) / 64 * 8];
    }

    public string Name => _launch.Name;

    public MigrationCapabilities Capabilities { get; }

    public DeviceShape Shape => _device.Shape;

    /// <summary>Completes with the reason when the device server is gone.</summary>
    public Task<string> Lost => _device.Closed;

    /// <summary>The state last known here; Error once the device server is gone.</summary>
    public DeviceState KnownState => _device.Closed.IsCompleted ? DeviceState.Error : _state;

    /// <summary>What accesses go by: a device counts as stopped from the moment it is asked to stop.</summary>
    private DeviceState AccessState => _stopping ? DeviceState.Stop : KnownState;

    /// <summary>Left behind on a way back to Running: it has no peers any more, and the machine does not wait for it.</summary>
    public bool IsIsolated
    {
        get => _isolated;
        set => _isolated = value;
    }

    /// <summary>P2P writes that came while this device's state did not take them.</summary>
    public long PeerWritesRefused => Interlocked.Read(ref _peerWritesRefused);

    /// <summary>Asks a connected device what it is, and reads its config space.</summary>
    /// <param name="capabilities">as the device was probed; None: its state is never asked for.</param>
    public static async Task<DeviceRelay> OpenAsync(
        VfioUserClient device, MigrationCapabilities capabilities, LaunchDevice launch, int slot, GuestFence fence, GuestRam ram,
        PeerLinks links, CancellationToken cancellationToken)
    {
        var state = capabilities == MigrationCapabilities.None
            ? DeviceState.Running
            : await device.GetStateAsync(cancellationToken);
        var descriptor = await device.CollectDescriptorAsync(capabilities, cancellationToken);
        var setup = new SetupRecord(launch.Name, slot, descriptor);
        var relay = new DeviceRelay(device, launch, fence, ram, links, setup, capabilities, state);
        await relay.ReadConfigAsync(cancellationToken);
        return relay;
    }

    // What the guest process itself asks for.

    /// <summary>Config space as the guest programmed it.</summary>
    public ReadOnlySpan<byte> Config => _config;

    /// <summary>Config space of the source, to be written when the device leaves Stop: only then may it become bus master.</summary>
    public void RestoreConfigLater(ReadOnlySpan<byte> config) => _configToRestore = config.ToArray();

    /// <summary>Whether the vCPUs may touch registers now. A device that stands still is left alone.</summary>
    public bool TakesGuestAccess => FencedArc.IsRunning(AccessState);

    /// <summary>A peer's DMA into this device's BAR.</summary>
    /// <exception cref="DeviceRefusedException">EBUSY: not in this state; counted.</exception>
    public async ValueTask WriteFromPeerAsync(ulong barOffset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        if (!AllowedActions.Allows(Kind, AccessState, DeviceAction.IncomingP2P))
        {
            Interlocked.Increment(ref _peerWritesRefused);
            throw new DeviceRefusedException($"{Name} takes no P2P DMA in {KnownState}", Errno.EBUSY);
        }
        await _device.WriteRegionAsync(DeviceRegisters.Bar, barOffset, source, cancellationToken);
    }

    public async Task MapPeerAsync(DmaWindow window)
    {
        Require(DeviceAction.DmaMap);
        await _device.MapDmaAsync(window, CancellationToken.None);
    }

    /// <remarks>Ends after the peer write under way.</remarks>
    public async Task UnmapPeerAsync(Iova start, ulong sizeBytes)
    {
        Require(DeviceAction.DmaMap);
        await _device.UnmapDmaAsync(start, sizeBytes, CancellationToken.None);
    }

    /// <summary>Every vector of the device signals one eventfd. Of INTx, MSI and MSI-X a PCI function has one at a time: the last it has
    /// is taken, as drivers do.</summary>
    public async Task BindInterruptsAsync(SafeFileHandle eventFd)
    {
        Require(DeviceAction.InterruptSetup);
        if (_device.Shape.Interrupts.Where(interrupt => interrupt.Index <= MsixInterrupt).MaxBy(interrupt => interrupt.Index) is { } interrupt)
            await _device.SetInterruptsAsync(
                interrupt.Index, [.. Enumerable.Repeat(eventFd, interrupt.Count)], CancellationToken.None);
    }

    /// <summary>Why the guest must not be given away as this device stands; null: nothing is in the way.</summary>
    public string? WhyNotYielded() => FencedArc.IsRunning(KnownState)
        ? $"{Name} is {KnownState}: stop it before the guest is yielded"
        : _pending.IsOpen && !_readSinceStopped && KnownState != DeviceState.Error
            ? $"{Name}'s last dirty pages were not read since it stopped: what it wrote until then is on no other host"
            : null;

    /// <exception cref="DeviceRefusedException">EINVAL: the device's state does not allow it on its back end.</exception>
    private void Require(DeviceAction action)
    {
        if (AllowedActions.Refusal(Kind, Name, AccessState, action) is { } refusal) throw new DeviceRefusedException(refusal, Errno.EINVAL);
    }

    /// <summary>State changes by the guest process itself, under no session: the way back after the pause deadline.</summary>
    public Task BringToAsync(DeviceState target) => ChangeStateAsync(target, CancellationToken.None);

    // IMigratableDevice

    public ValueTask<MigrationCapabilities> ProbeMigrationAsync(CancellationToken cancellationToken) => new(Capabilities);

    public async ValueTask<DeviceState> GetStateAsync(CancellationToken cancellationToken)
    {
        if (_device.Closed.IsCompleted) return DeviceState.Error;
        if (Capabilities == MigrationCapabilities.None) return DeviceState.Running;
        try
        {
            return await _device.GetStateAsync(cancellationToken);
        }
        catch (DeviceLostException)
        {
            return DeviceState.Error;
        }
    }

    public async ValueTask SetStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        await ChangeStateAsync(target, cancellationToken);
    }

    private async Task ChangeStateAsync(DeviceState target, CancellationToken cancellationToken)
    {
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        if (Capabilities == MigrationCapabilities.None)
            throw new DeviceRefusedException($"{Name} does not migrate: it has no device states", Errno.EOPNOTSUPP);
        var from = await _device.GetStateAsync(cancellationToken);
        _state = from;
        _fence.RequireTransition(Name, from, target);
        if (DeviceArcs.Path(from, target, Capabilities) is not { } path)
            throw new DeviceRefusedException($"{Name} has no way from {from} to {target}", Errno.EINVAL);
        using var entered = _links.Enter(this, from, path);
        foreach (var next in path) await TakeArcAsync(_state, next, cancellationToken);
    }

    private async Task TakeArcAsync(DeviceState from, DeviceState next, CancellationToken cancellationToken)
    {
        if (_configToRestore is { } config && from == DeviceState.Stop && FencedArc.IsRunning(next))
        {
            // Registers are reachable in Stop, and from its first moment of running on the device is bus master again.
            foreach (var (offset, bytes) in ProgrammedConfig)
                if (offset + bytes <= _configBytes)
                    await _device.WriteRegionAsync(
                        DeviceRegisters.ConfigSpace, (ulong)offset, config.AsMemory(offset, bytes), cancellationToken);
            await ReadConfigAsync(cancellationToken);
            _configToRestore = null;
        }
        // No peer writes from here on. But it is known as stopped only once it is: until then it may signal interrupts,
        // which the machine's registers must hold.
        _stopping = FencedArc.IsStopped(next);
        _readSinceStopped &= FencedArc.IsStopped(from);
        try
        {
            await _device.SetStateAsync(next, cancellationToken);
            _state = next;
        }
        catch (DeviceRefusedException)
        {
            _state = await _device.GetStateAsync(cancellationToken);
            throw;
        }
        finally
        {
            _stopping = false;
        }
        if (DeviceArcs.IsSaving(next) && !DeviceArcs.IsSaving(from))
        {
            _retained.Restart();
            _loading = false;
        }
        else if (next == DeviceState.Resuming)
        {
            (_accepted, _acceptedCrc, _loading) = (0, 0, true);
        }
    }

    public ValueTask<int> ReadDataAsync(Memory<byte> buffer, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's stream is read by offset", Errno.EOPNOTSUPP);

    public ValueTask WriteDataAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's stream is written by offset", Errno.EOPNOTSUPP);

    public ValueTask<PreCopyBytes?> GetPreCopyBytesAsync(CancellationToken cancellationToken) =>
        _device.GetPreCopyBytesAsync(cancellationToken);

    public async ValueTask StartDirtyLogAsync(int pageSizeBytes, CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        Require(DeviceAction.DirtyReport);
        if (pageSizeBytes != GuestMemoryLayout.PageSizeBytes)
            throw new DeviceRefusedException($"dirty pages are of {GuestMemoryLayout.PageSizeBytes} bytes", Errno.EINVAL);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        await _device.StartDirtyLogAsync(pageSizeBytes, cancellationToken);
        _pending.Open();
    }

    public async ValueTask StopDirtyLogAsync(CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _pending.Close();
        await _device.StopDirtyLogAsync(cancellationToken);
    }

    public ValueTask ReportDirtyAsync(Iova start, ulong sizeBytes, Memory<byte> bitmap, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException("an endpoint's dirty pages are read until they are acknowledged", Errno.EOPNOTSUPP);

    public ValueTask ReadRegionAsync(int region, ulong offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        Require(DeviceAction.RegisterAccess);
        return _device.ReadRegionAsync(region, offset, destination, cancellationToken);
    }

    public async ValueTask WriteRegionAsync(int region, ulong offset, ReadOnlyMemory<byte> source, CancellationToken cancellationToken)
    {
        Require(DeviceAction.RegisterAccess);
        await _device.WriteRegionAsync(region, offset, source, cancellationToken);
        // What sticks of a config write is the device's to say.
        if (region == DeviceRegisters.ConfigSpace) await ReadConfigAsync(cancellationToken);
    }

    public ValueTask MapDmaAsync(DmaWindow window, CancellationToken cancellationToken) => throw NotForClients("DMA windows");

    public ValueTask UnmapDmaAsync(Iova start, ulong sizeBytes, CancellationToken cancellationToken) => throw NotForClients("DMA windows");

    public ValueTask SetInterruptsAsync(int index, IReadOnlyList<SafeFileHandle> eventFds, CancellationToken cancellationToken) =>
        throw NotForClients("interrupts");

    public async ValueTask ResetAsync(CancellationToken cancellationToken)
    {
        _fence.RequireCurrent(_bound);
        using var turn = await Turn.TakeAsync(_gate, cancellationToken);
        _fence.RequireResettable(Name, await GetStateAsync(cancellationToken));
        await _device.ResetAsync(cancellationToken);
        _state = await _device.GetStateAsync(cancellationToken);
        // What is to be restored later stays: a load that failed is tried again after a reset.
        _loading = false;
        await ReadConfigAsync(cancellationToken);
    }

    public ValueTask DisposeAsync()
    {
        _retained.Dispose();
        return ValueTask.CompletedTask;
    }

    private async ValueTask ReadConfigAsync(CancellationToken cancellationToken)
    {
        byte[] config = await _device.ReadConfigAsync(cancellationToken);
        config.CopyTo(_config, 0);
        _configBytes = config.Length;
    }

    private static DeviceRefusedException NotForClients(string what) =>
        new($"{what} of a guest's device are the guest process's own", Errno.EOPNOTSUPP);
}
