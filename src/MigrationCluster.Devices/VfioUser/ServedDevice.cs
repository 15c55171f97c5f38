using Microsoft.Win32.SafeHandles;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Devices.VfioUser;

/// <summary>What all connections of one server share: the device, who may speak to it, and what was set up on it.</summary>
/// <remarks>Everything but <see cref="Newest"/> is touched by the holder of <see cref="Gate"/> only.</remarks>
internal sealed class ServedDevice(IMigratableDevice device, bool offersExtension, Action<Exception>? onFault)
{
    private readonly Lock _fenceLock = new();
    private Fence? _newest;

    public IMigratableDevice Device => device;

    public bool OffersExtension => offersExtension;

    public IDescribedDevice? Described { get; } = device as IDescribedDevice;

    public IMigrationEndpoint? Endpoint { get; } = device as IMigrationEndpoint;

    public IMachineEndpoint? Machine { get; } = device as IMachineEndpoint;

    public ServedKind Kind =>
        Machine is not null ? ServedKind.Machine : Endpoint is not null ? ServedKind.Endpoint : ServedKind.Device;

    /// <summary>One at a time for everything that changes the device or moves its state; a fence is checked inside, so that
    /// nothing of an older session runs once a newer one is bound.</summary>
    public SemaphoreSlim Gate { get; } = new(1);

    /// <summary>A client without sessions has the device for itself; the next one waits for its turn.</summary>
    public SemaphoreSlim PlainSlot { get; } = new(1);

    /// <summary>DMA windows by whom they were mapped. Those of a client that has gone stay while the device's state does
    /// not allow unmapping.</summary>
    public List<(Iova Start, ulong SizeBytes, ServerConnection Owner)> Windows { get; } = [];

    /// <summary>Bound eventfds by interrupt index, kept open while they are bound.</summary>
    public Dictionary<int, SafeFileHandle?[]> Interrupts { get; } = [];

    /// <summary>0: no dirty log was started through this server.</summary>
    public int LogPageSizeBytes { get; set; }

    /// <summary>The newest fence any session has bound.</summary>
    public Fence? Newest
    {
        get
        {
            lock (_fenceLock) return _newest;
        }
    }

    public void Raise(Fence fence)
    {
        lock (_fenceLock)
            if (_newest is null || fence > _newest) _newest = fence;
    }

    /// <summary>A device threw what no device should; the client was told EIO.</summary>
    public void ReportFault(Exception fault) => onFault?.Invoke(fault);
}
