using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Source;

/// <summary>What the source machine waits for. Idempotent; ends in a <see cref="SourceCommand"/>.</summary>
public abstract record SourceEffect
{
    /// <summary>Bind sessions at the fence, probe every device, read its setup record.</summary>
    public sealed record ReadSetup(Fence Fence) : SourceEffect;

    /// <summary>Connect to the destination and start every dirty log; the first pass is all debt.</summary>
    public sealed record ConnectTransfer(string DataEndpoint, string Token) : SourceEffect;

    /// <summary>Ask one device (or the machine) for one arc.</summary>
    /// <param name="Limit">after which it has failed; null: as long as a command may take.</param>
    public sealed record MoveDevice(DeviceName Device, DeviceState Target, TimeSpan? Limit = null) : SourceEffect;

    /// <summary>Have the guest process unmap every P2P edge of a device that is left behind, and run without it.</summary>
    public sealed record Isolate(DeviceName Device) : SourceEffect;

    /// <summary>Set the pause deadline, then pause the machine.</summary>
    public sealed record PauseMachine(TimeSpan PauseDeadline) : SourceEffect;

    /// <summary>Send what is dirty now, pages and device data, and wait until the destination has it.</summary>
    public sealed record RunIteration(int Iteration) : SourceEffect;

    /// <summary>Read the last dirty bitmaps, send the final pages beside every device's final state, then the manifest.</summary>
    public sealed record SendFinal : SourceEffect;

    public sealed record CastVote(Vote Vote, Fence Fence) : SourceEffect;

    /// <summary>End the guest process and remove its files.</summary>
    public sealed record Release(Fence Fence) : SourceEffect;
}
