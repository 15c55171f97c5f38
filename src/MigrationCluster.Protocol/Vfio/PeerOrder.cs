using MigrationCluster.Protocol.Ownership;

namespace MigrationCluster.Protocol.Vfio;

/// <summary>
/// The order that a guest process keeps, whoever commands it: nobody does P2P DMA into a device that stands still. A device is not
/// stopped while one that is mapped into it may start P2P, and starts none before all it is mapped into take it.
/// </summary>
public static class PeerOrder
{
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
                    return $"{device} must not go to {next}: {name} does P2P DMA into it and is {state}, not P2P-quiet";
        if (StartsP2P(next) && !StartsP2P(from))
            foreach (var (name, state) in targets)
                if (FencedArc.IsStopped(state) || state == DeviceState.Error)
                    return $"{device} must not go to {next}: it does P2P DMA into {name}, which is {state}";
        return null;
    }
}
