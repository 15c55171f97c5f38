using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Destination;

/// <summary>What the destination machine is told: the coordinator's orders, and how its own effects ended.</summary>
/// <param name="At">the host's wall clock.</param>
public abstract record DestinationCommand(DateTimeOffset At)
{
    public sealed record Order(AgentCommand Command, DateTimeOffset At) : DestinationCommand(At);

    public sealed record IncomingLaunched(
        string DataEndpoint, string Token, IReadOnlyList<PlannedDevice> Devices, DateTimeOffset At)
        : DestinationCommand(At);

    /// <summary>The data plane takes this transfer's connections again.</summary>
    public sealed record TransferOpened(string DataEndpoint, string Token, DateTimeOffset At) : DestinationCommand(At);

    /// <param name="Refusals">what says no; empty: nothing does.</param>
    public sealed record SetupAnswered(IReadOnlyList<Refusal> Refusals, DateTimeOffset At) : DestinationCommand(At)
    {
        /// <summary>What the real devices could not tell: refuses unless an operator accepted it by name.</summary>
        public IReadOnlyList<Refusal> Unknown { get; init; } = [];

        public IReadOnlyList<DroppedSections> Dropped { get; init; } = [];
    }

    public sealed record DeviceArrived(DeviceName Device, DeviceState State, DateTimeOffset At)
        : DestinationCommand(At);

    public sealed record StreamReceived(string Digest, DateTimeOffset At) : DestinationCommand(At);

    public sealed record VerifiedVoted(IReadOnlyDictionary<string, string> ContentDigests, DateTimeOffset At)
        : DestinationCommand(At);

    public sealed record PermitVoted(DateTimeOffset At) : DestinationCommand(At);

    /// <param name="ReceivedBytes">by the data plane's counters; null: they are gone.</param>
    /// <param name="Broken">why the transfer had broken before, when the order to discard came sooner than that was told; null: it had not.</param>
    public sealed record DiscardEnded(DateTimeOffset At, long? ReceivedBytes = null, Failed? Broken = null) : DestinationCommand(At);

    /// <param name="NeverRan">proven; else <paramref name="Reason"/> says what stands against it.</param>
    public sealed record ProofEnded(bool NeverRan, string Reason, DateTimeOffset At) : DestinationCommand(At);

    /// <summary>The daemon came back and found this session in its journal; its connections are gone.</summary>
    public sealed record Restarted(DateTimeOffset At) : DestinationCommand(At);

    /// <summary>Nothing of this device is mapped for a peer any more, and nothing of a peer for it.</summary>
    public sealed record DeviceIsolated(DeviceName Device, DateTimeOffset At) : DestinationCommand(At);

    /// <param name="Device">the device at fault, if one is.</param>
    /// <param name="Stands">where it stands now, asked for after the failure; null: it was not asked, or does not tell.</param>
    public sealed record Failed(DeviceName? Device, string Code, string Reason, DateTimeOffset At, DeviceState? Stands = null)
        : DestinationCommand(At);

    public sealed record GuestDied(string Reason, DateTimeOffset At) : DestinationCommand(At);

    /// <summary>No order that applied and no connection of the source has come for as long as an incoming guest is kept.</summary>
    public sealed record Expired(TimeSpan Limit, DateTimeOffset At) : DestinationCommand(At);

    /// <summary>A device server died under a guest process that lives. Nobody may be waiting for anything of that device.</summary>
    public sealed record DeviceDied(DeviceName Device, string Reason, DateTimeOffset At) : DestinationCommand(At);
}
