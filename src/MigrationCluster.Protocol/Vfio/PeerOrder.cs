using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Vfio;

/// <summary>
/// The order that a guest process keeps, whoever commands it: nobody does P2P DMA into a device that stands still. A device is not
/// stopped while one that is mapped into it may start P2P, and starts none before all it is mapped into take it.
/// </summary>
public static class PeerOrder
{
    private const string Peer = "does P2P DMA into";

    /// <summary>Whether a reason that something failed for is such a refusal, over a peer that stands still or is not quiet: an order that should not have
    /// been given. Over a peer in Error it may have been: nobody knew yet.</summary>
    public static bool IsMistake(string reason) =>
        reason.Contains(Peer, StringComparison.Ordinal) && !reason.Contains($"which is {DeviceState.Error}", StringComparison.Ordinal);

    /// <summary>Whether a device in this state may start P2P DMA.</summary>
    public static bool StartsP2P(DeviceState state) => state is DeviceState.Running or DeviceState.PreCopy;

    /// <param name="writers">devices mapped into this one, each with every state it may be in now.</param>
    /// <param name="targets">devices this one is mapped into, likewise.</param>
    /// <returns>why the device must not take this arc; null: it may.</returns>
    public static string? Refusal(
        string device, DeviceState from, DeviceState next,
        IEnumerable<(string Name, DeviceState State)> writers, IEnumerable<(string Name, DeviceState State)> targets)
    {
        if (FencedArc.IsStopped(next) && !FencedArc.IsStopped(from))
            foreach (var (name, state) in writers)
                if (StartsP2P(state))
                    return $"{device} must not go to {next}: {name} {Peer} it and is {state}, not P2P-quiet";
        if (StartsP2P(next) && !StartsP2P(from))
            foreach (var (name, state) in targets)
                if (FencedArc.IsStopped(state) || state == DeviceState.Error)
                    return $"{device} must not go to {next}: it {Peer} {name}, which is {state}";
        return null;
    }
}
