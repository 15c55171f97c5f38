using MigrationCluster.DataPlane;
using MigrationCluster.DataPlane.Flow;
using MigrationCluster.Node.Actors;
using MigrationCluster.Node.Guests;
using MigrationCluster.Node.Hosting;
using MigrationCluster.Protocol.Identity;

namespace MigrationCluster.Node.Transfers;

/// <summary>Sessions with the real guest processes of this host and its real data plane.</summary>
public sealed class ProcessHands(
    GuestHost host, DataDirectory data, DataPlaneListener dataPlane, TransferOptions options, BandwidthBudget bandwidth, NodeConfig config, ISupervisor supervisor, TimeProvider time) : ISessionHands
{
    public ISourceHands Source(GuestName guest, string name) =>
        new SourceSession(
            new SessionGuest(guest, host, data, time), name, options, bandwidth.Open(null), supervisor, time);

    public IDestinationHands Destination(GuestName guest, string name) =>
        new DestinationSession(new SessionGuest(guest, host, data, time), dataPlane, config.IncomingExpiry, name, supervisor, time);
}
