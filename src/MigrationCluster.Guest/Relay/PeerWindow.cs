using MigrationCluster.Devices;
using MigrationCluster.Protocol.Memory;
using MigrationCluster.Protocol.VfioUser;

namespace MigrationCluster.Guest.Relay;

/// <summary>A part of one device's BAR as another device's DMA sees it. Writes become region writes of the peer.</summary>
internal sealed class PeerWindow(DeviceRelay peer, Iova start, ulong barOffset) : IDmaTarget
{
    private volatile bool _open;

    /// <summary>Closed, it takes nothing, whatever the writing device still believes to be mapped.</summary>
    public bool IsOpen
    {
        get => _open;
        set => _open = value;
    }

    public ValueTask ReadAsync(Iova address, Memory<byte> destination, CancellationToken cancellationToken) =>
        throw new DeviceRefusedException($"P2P reads of {peer.Name} are not mapped", Errno.EFAULT);

    public ValueTask WriteAsync(Iova address, ReadOnlyMemory<byte> source, CancellationToken cancellationToken) => _open
        ? peer.WriteFromPeerAsync(barOffset + (address.Value - start.Value), source, cancellationToken)
        : throw new DeviceRefusedException($"P2P writes into {peer.Name} are unmapped", Errno.EFAULT);
}
