using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Destination;

/// <summary>What the destination machine waits for. Idempotent; ends in a <see cref="DestinationCommand"/>.</summary>
public abstract record DestinationEffect
{
    /// <summary>Launch the guest process as incoming, probe its devices, open the data plane for it.</summary>
    public sealed record LaunchIncoming(Fence Fence) : DestinationEffect;

    /// <summary>Put each source record to the real device.</summary>
    public sealed record ConfirmSetup : DestinationEffect;

    /// <param name="Limit">after which it has failed; null: as long as a command may take.</param>
    public sealed record MoveDevice(DeviceName Device, DeviceState Target, TimeSpan? Limit = null) : DestinationEffect;

    /// <summary>Have the guest process unmap every P2P edge of a device that is left behind, and run without it.</summary>
    public sealed record Isolate(DeviceName Device) : DestinationEffect;

    /// <summary>Open the data plane for the guest process that this daemon found, under a token of its own. Once everything has arrived only the
    /// verdict is given there, and nothing has failed if it cannot be opened: it is tried again.</summary>
    public sealed record ReopenTransfer(int Opening) : DestinationEffect;

    /// <summary>Take pages and device state until the manifest agrees.</summary>
    public sealed record Receive : DestinationEffect;

    /// <summary>Read every device's content digest in Stop, then vote Verified.</summary>
    public sealed record VoteVerified(string Digest) : DestinationEffect;

    public sealed record TakePermit(Fence Fence) : DestinationEffect;

    /// <summary>Tell the machine when nobody has been heard of for as long as an incoming guest is kept: no order, no connection of its source.</summary>
    public sealed record AwaitWord : DestinationEffect;

    /// <summary>End the incoming guest process and remove its files; its fence file stays, raised.</summary>
    public sealed record Discard(Fence Fence) : DestinationEffect;

    /// <summary>Look for a permit first: a guest that took it is never touched. Else make sure process and device servers are dead, raise the fence file under flock, look for a permit.</summary>
    public sealed record ProveNeverRan(Fence Fence) : DestinationEffect;
}
