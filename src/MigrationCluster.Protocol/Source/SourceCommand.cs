using MigrationCluster.Protocol.Convergence;
using MigrationCluster.Protocol.Guests;
using MigrationCluster.Protocol.Identity;
using MigrationCluster.Protocol.Migration;
using MigrationCluster.Protocol.Ownership;
using MigrationCluster.Protocol.Vfio;

namespace MigrationCluster.Protocol.Source;

/// <summary>What the source machine is told: the coordinator's orders, and how its own effects ended.</summary>
/// <param name="At">the host's wall clock.</param>
public abstract record SourceCommand(DateTimeOffset At)
{
    public sealed record Order(AgentCommand Command, DateTimeOffset At) : SourceCommand(At);

    public sealed record SetupRead(
        IReadOnlyList<SetupRecord> Records, IReadOnlyList<PlannedDevice> Devices, DateTimeOffset At)
        : SourceCommand(At);

    /// <param name="Opening">which opening of the destination's data plane was connected to.</param>
    public sealed record TransferConnected(int Opening, DateTimeOffset At) : SourceCommand(At);

    /// <summary>The connections to the destination are gone, or could not be made: nothing else is wrong.</summary>
    /// <param name="Limit">how long pre-copy may go without any.</param>
    public sealed record TransferBroke(string Reason, TimeSpan Limit, DateTimeOffset At) : SourceCommand(At);

    /// <param name="Pass">that its initial bytes are loaded is said of this pass only: a device may have some again.</param>
    /// <param name="Pages">sent, or told of as zeros.</param>
    public sealed record IterationEnded(PassObservation Pass, long Pages, DateTimeOffset At) : SourceCommand(At);

    /// <summary>Asked to pause, the machine was not: these devices have initial bytes again.</summary>
    public sealed record ReadinessTakenBack(IReadOnlyList<DeviceName> Devices, DateTimeOffset At) : SourceCommand(At);

    public sealed record DeviceArrived(DeviceName Device, DeviceState State, DateTimeOffset At) : SourceCommand(At);

    /// <param name="RamDigest">of all of RAM, which the destination found the same; null: it was not asked for.</param>
    public sealed record FinalSent(
        string Digest, DateTimeOffset PagesSentAt, TransferTotals Totals, DateTimeOffset At, string? RamDigest = null,
        BlackoutTimings? Timings = null) : SourceCommand(At);

    /// <param name="Stands">with <see cref="Vote.Kept"/>: where every device really stands, read after the vote; else empty.</param>
    public sealed record VoteCast(Vote Vote, IReadOnlyDictionary<string, DeviceState> Stands, DateTimeOffset At)
        : SourceCommand(At);

    /// <summary>The guest process refused a vote because it had cast the opposite one.</summary>
    public sealed record VoteExcluded(Vote Vote, string Reason, DateTimeOffset At) : SourceCommand(At);

    public sealed record ReleaseEnded(
        IReadOnlyList<string> Residue, IReadOnlyDictionary<string, string> ContentDigests, DateTimeOffset At)
        : SourceCommand(At);

    /// <summary>Nothing of this device is mapped for a peer any more, and nothing of a peer for it.</summary>
    public sealed record DeviceIsolated(DeviceName Device, DateTimeOffset At) : SourceCommand(At);

    /// <param name="Device">the device at fault, if one is.</param>
    /// <param name="Stands">where it stands now, asked for after the failure; null: it was not asked, or does not tell.</param>
    public sealed record Failed(DeviceName? Device, string Code, string Reason, DateTimeOffset At, DeviceState? Stands = null)
        : SourceCommand(At);

    /// <summary>The daemon came back and found this session in its journal; its connections are gone.</summary>
    public sealed record Restarted(DateTimeOffset At) : SourceCommand(At);

    public sealed record GuestDied(bool DiedAsYielded, string Reason, DateTimeOffset At) : SourceCommand(At);
}
